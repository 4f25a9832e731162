"""A decide's answer: three JSON shapes and a `RouteDecision` in, the shape due out."""

from __future__ import annotations

import json

import pytest

from sidecar.dialects.decide import Decision, Shape, Untranslatable, loads
from sidecar.dialects.decide_answer import (
    lifted,
    read_json_decision,
    read_route_decision,
    write_json_decision,
    write_route_decision,
)
from sidecar.pb.beamline.flow.v1.flow_pb2 import RouteDecision
from tests.kit.decides import DOCUMENTED, REAL, TRACE, asked

STUB = (
    b'{"message_id":"dummy","provider_id":"provider-1","reason":"stub","priority":1,"expected_latency_ms":42,'
    b'"expected_cost":0.001,"currency":"USD","trace_id":"trace-stub"}'
)
FLAT = (
    b'{"decision_id": "req-1", "provider_id": "openai:gpt-4o", "reason": "weighted", "priority": 50, '
    b'"expected_latency_ms": 850, "expected_cost": 0.012, "metadata": {"strategy": "weighted"}}'
)
NESTED = (
    b'{"ok": true, "decision": {"provider_id": "openai:gpt-4o", "priority": 50, "expected_latency_ms": 0, '
    b'"expected_cost": 0.0, "reason": "weighted", "metadata": {"tenant_id": "demo", "executed_extensions": ["a", 1]}}, '
    b'"context": {"request_id": "req-1"}}'
)
ROUTED = RouteDecision(
    provider_id="openai:gpt-4o",
    reason="sticky",
    priority=50,
    expected_latency_ms=850,
    expected_cost=0.012,
    metadata={"tenant_id": "demo"},
)


def read(body: bytes) -> Decision:
    decision = read_json_decision(loads(body))
    assert decision is not None
    return decision


def read_routed(message: RouteDecision) -> Decision:
    decision = read_route_decision(message.SerializeToString())
    assert decision is not None
    return decision


def flat(decision: Decision) -> object:
    return json.loads(write_json_decision(decision, asked(DOCUMENTED)))


def nested(decision: Decision) -> object:
    return json.loads(write_json_decision(decision, asked(REAL)))


def routed(decision: Decision) -> RouteDecision:
    return RouteDecision.FromString(write_route_decision(decision))


def test_each_answer_knows_whose_shape_it_has() -> None:
    assert read(STUB).shape is None
    assert read(FLAT).shape is Shape.DOCUMENTED
    assert read(NESTED).shape is Shape.REAL
    assert read_routed(ROUTED).shape is Shape.GRPC


def test_a_stubs_answer_to_a_documented_decide() -> None:
    assert flat(read(STUB)) == {
        "decision_id": "ours-1",
        "provider_id": "provider-1",
        "reason": "stub",
        "priority": 1,
        "expected_latency_ms": 42,
        "expected_cost": 0.001,
        "metadata": {},
    }


def test_a_stubs_answer_to_a_real_decide() -> None:
    decision = {
        "provider_id": "provider-1",
        "reason": "stub",
        "priority": 1,
        "expected_latency_ms": 42,
        "expected_cost": 0.001,
    }
    context = {"request_id": "req-1", "trace_id": TRACE}
    assert nested(read(STUB)) == {"ok": True, "decision": decision, "context": context}


def test_a_nested_answer_to_a_documented_decide_keeps_its_lists() -> None:
    assert flat(read(NESTED)) == {
        "decision_id": "ours-1",
        "provider_id": "openai:gpt-4o",
        "reason": "weighted",
        "priority": 50,
        "expected_latency_ms": 0,
        "expected_cost": 0.0,
        "metadata": {"tenant_id": "demo", "executed_extensions": ["a", 1]},
    }


def test_a_flat_answer_to_a_real_decide() -> None:
    decision = {
        "provider_id": "openai:gpt-4o",
        "reason": "weighted",
        "priority": 50,
        "expected_latency_ms": 850,
        "expected_cost": 0.012,
        "metadata": {"strategy": "weighted"},
    }
    context = {"request_id": "req-1", "trace_id": TRACE}
    assert nested(read(FLAT)) == {"ok": True, "decision": decision, "context": context}


def test_a_nested_answer_to_a_grpc_decide() -> None:
    assert routed(read(NESTED)) == RouteDecision(
        provider_id="openai:gpt-4o",
        reason="weighted",
        priority=50,
        metadata={"tenant_id": "demo", "executed_extensions": '["a",1]'},
    )


def test_an_empty_list_is_an_empty_text() -> None:
    body = b'{"ok": true, "decision": {"provider_id": "p", "metadata": {"executed_extensions": []}}}'
    assert dict(routed(read(body)).metadata) == {"executed_extensions": ""}


@pytest.mark.parametrize(("body", "latency"), [(STUB, 42), (FLAT, 850)])
def test_a_flat_answer_to_a_grpc_decide(body: bytes, latency: int) -> None:
    assert routed(read(body)).expected_latency_ms == latency


def test_a_route_decision_to_a_documented_decide_tells_numbers_as_numbers() -> None:
    assert flat(read_routed(ROUTED)) == {
        "decision_id": "ours-1",
        "provider_id": "openai:gpt-4o",
        "reason": "sticky",
        "priority": 50,
        "expected_latency_ms": 850,
        "expected_cost": 0.012,
        "metadata": {"tenant_id": "demo"},
    }


def test_a_route_decision_to_a_real_decide_without_a_trace() -> None:
    without_trace = asked(REAL, {})
    body = json.loads(write_json_decision(read_routed(RouteDecision(provider_id="p")), without_trace))
    decision = {"provider_id": "p", "reason": "", "priority": 0, "expected_latency_ms": 0, "expected_cost": 0.0}
    assert body == {"ok": True, "decision": decision, "context": {"request_id": "req-1"}}


def test_a_cost_that_json_cannot_say() -> None:
    assert read_routed(RouteDecision(expected_cost=float("nan"))).expected_cost == 0.0
    assert read_routed(RouteDecision(expected_cost=float("inf"))).expected_cost == 0.0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"this is not json",
        b'"provider_id"',
        b"[]",
        b"{}",
        b'{"stream":"ROUTER", "seq":1}',
        b'{"ok": true}',
        b'{"ok": true, "decision": {}}',
        b'{"ok": true, "decision": {"provider_id": 7}}',
        b'{"decision": {"provider_id": "p"}}',
        b'{"ok": false, "decision": {"provider_id": "p"}}',
        b'{"ok": false, "provider_id": "p"}',
        b'{"provider_id": null}',
    ],
)
def test_what_names_no_provider_is_no_decision(body: bytes) -> None:
    assert read_json_decision(loads(body)) is None
    assert lifted(body) is None


def test_values_of_foreign_types_are_as_good_as_absent() -> None:
    body = b'{"provider_id": "p", "reason": 7, "priority": "high", "expected_cost": true, "metadata": ["m"]}'
    assert routed(read(body)) == RouteDecision(provider_id="p")


def test_numbers_beyond_their_field_become_the_greatest_that_fit() -> None:
    body = b'{"provider_id": "p", "priority": 1e300, "expected_latency_ms": -1e300, "expected_cost": 7}'
    assert routed(read(body)) == RouteDecision(
        provider_id="p", priority=2**31 - 1, expected_latency_ms=-(2**63), expected_cost=7.0
    )


def test_bytes_that_are_no_route_decision() -> None:
    assert read_route_decision(b"\x0a\xff") is None


def test_an_answer_that_stands_in_the_policy_file_is_lifted() -> None:
    assert lifted(FLAT) == write_route_decision(read(FLAT))
    assert lifted(NESTED) == write_route_decision(read(NESTED))


def test_what_is_too_deep_to_be_written() -> None:
    decision = read(b'{"provider_id": "p", "metadata": {"deep": %b1%b}}' % (b"[" * 300, b"]" * 300))
    with pytest.raises(Untranslatable):
        flat(decision)
    with pytest.raises(Untranslatable):
        routed(decision)
