"""A decide's request in three shapes: who asks what, and how c-gateway and the Router get it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.dialects.decide import Shape, Untranslatable
from sidecar.dialects.decide_request import (
    complete_real,
    header_text,
    read_json,
    read_route_request,
    tenant_field,
    write_real,
    write_route_request,
)
from sidecar.pb.beamline.flow.v1.flow_pb2 import Message, RouteRequest
from tests.kit.decides import (
    DOCUMENTED,
    HEADERS,
    REAL,
    ROUTE_REQUEST,
    TRACE,
    UUID,
    asked,
    asked_by_grpc,
    real,
    routed,
    without,
)

# Whole requests.


def test_a_documented_decide_as_c_gateway_takes_it() -> None:
    assert real(asked(DOCUMENTED)) == {
        "version": "1",
        "tenant_id": "acme",
        "request_id": "ours-1",
        "message_type": "text.generate",
        "payload": {"text": "Hello, world!"},
        "task": {"type": "text.generate", "payload": {"text": "Hello, world!"}},
        "policy_id": "demo-policy",
        "message_id": "msg-1",
        "metadata": {"model": "gpt-4", "turns": 3},
        "context": {"session_id": "s1"},
    }


def test_a_documented_decide_as_the_router_takes_it() -> None:
    assert routed(asked(DOCUMENTED)) == RouteRequest(
        message=Message(
            message_id="msg-1",
            tenant_id="acme",
            trace_id=TRACE,
            message_type="text.generate",
            payload=b"Hello, world!",
            metadata={"model": "gpt-4", "turns": "3"},
            timestamp_ms=1234,
        ),
        policy_id="demo-policy",
        context={"session_id": "s1"},
    )


def test_a_real_decide_as_the_router_takes_it() -> None:
    assert routed(asked(REAL, {})) == RouteRequest(
        message=Message(
            message_id="msg-1",
            tenant_id="demo-tenant",
            message_type="text.generate",
            payload=b'{"text":"Hello, world!"}',
            metadata={"model": "gpt-4"},
            timestamp_ms=1234,
        ),
        policy_id="demo-policy",
        context={"session_id": "s1"},
    )


def test_a_grpc_decide_as_c_gateway_takes_it() -> None:
    assert real(asked_by_grpc(ROUTE_REQUEST)) == {
        "version": "1",
        "tenant_id": "acme",
        "request_id": "msg-1",
        "message_type": "text.generate",
        "payload": {"text": "Hello"},
        "task": {"type": "text.generate", "payload": {"text": "Hello"}},
        "policy_id": "demo-policy",
        "message_id": "msg-1",
        "metadata": {"model": "gpt-4"},
        "context": {"session_id": "s1"},
    }


# Which shape.


def test_a_task_makes_it_real_whatever_else_there_is() -> None:
    assert asked({**REAL, "message": DOCUMENTED["message"]}).shape is Shape.REAL
    assert asked(DOCUMENTED).shape is Shape.DOCUMENTED
    assert asked_by_grpc(ROUTE_REQUEST).shape is Shape.GRPC


def test_what_names_no_version_is_taken_for_the_only_one() -> None:
    assert real(asked(without(DOCUMENTED, "version")))["version"] == "1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"task"',
        b'{"version": "1", oops',
        b'\xff\xfe{"task": {}}',
        b'{"version": "1"}',
        b'{"message": null}',
        b'{"message": "text"}',
        b'{"task": null, "message": {"type": "t", "payload": {}}}',
        b'{"task": {"type": "t", "payload": "a text"}}',
        b'{"task": {"payload": {}}}',
        b'{"task": {"type": 7, "payload": {}}}',
        b'{"version": 1, "task": {"type": "t", "payload": {}}}',
        b'{"version": "2", "message": {"type": "t", "payload": {}}}',
        b'{"tenant_id": 7, "task": {"type": "t", "payload": {}}}',
        b'{"request_id": {}, "task": {"type": "t", "payload": {}}}',
        b'{"metadata": [], "task": {"type": "t", "payload": {}}}',
        b'{"message": {"type": "t"}}',
        b'{"message": {"type": "t", "payload": 7}}',
        b'{"message": {"type": "t", "payload": {}, "metadata": "m"}}',
        b'{"message": {"type": "t", "payload": {}}, "context": []}',
        b'{"message": {"type": "t", "payload": {}}, "policy_id": 7}',
        b'{"message": {"type": "t", "payload": {}}, "run_id": 7}',
    ],
)
def test_what_is_no_decide_is_left_to_c_gateways_own_400(body: bytes) -> None:
    assert read_json(body, HEADERS, "ours-1") is None


def test_null_is_absent_where_nothing_is_needed() -> None:
    nothing = {"message_id": None, "metadata": None}
    decide = asked({"message": {"type": "t", "payload": {}, **nothing}, "context": None, "policy_id": None})
    assert (decide.message_id, decide.metadata, decide.context, decide.policy) == ("", {}, {}, "default")


def test_bytes_that_are_no_route_request() -> None:
    assert read_route_request(b"\x0a\xff", "ours-1") is None


# tenant


def test_a_documented_decides_tenant_is_in_the_header() -> None:
    assert asked(DOCUMENTED, {b"x-tenant-id": b"acme"}).tenant == "acme"


def test_a_real_decides_tenant_is_in_the_header_else_in_the_body() -> None:
    assert asked(REAL, {b"x-tenant-id": b"acme"}).tenant == "acme"
    assert asked(REAL, {}).tenant == "demo-tenant"


def test_whom_the_upstreams_settings_name_counts_last() -> None:
    assert asked(without(REAL, "tenant_id"), {}, "house").tenant == "house"
    assert asked(REAL, {}, "house").tenant == "demo-tenant"
    assert asked_by_grpc(RouteRequest(), "house").tenant == "house"
    assert asked_by_grpc(ROUTE_REQUEST, "house").tenant == "acme"


def test_a_header_is_utf8_else_iso_8859_1() -> None:
    assert header_text("Zoë".encode()) == "Zoë"
    assert header_text("Zoë".encode("latin-1")) == "Zoë"


@pytest.mark.parametrize("tenant", ["two\r\nlines", "\x00", " blank", "blank ", "x" * 64, "ä" * 32])
def test_a_tenant_that_would_reach_c_gateway_as_another_is_not_sent_there(tenant: str) -> None:
    decide = asked_by_grpc(RouteRequest(message=Message(tenant_id=tenant)))
    with pytest.raises(Untranslatable):
        tenant_field(decide)


def test_a_tenant_in_a_header() -> None:
    assert tenant_field(asked_by_grpc(RouteRequest(message=Message(tenant_id="x" * 63)))) == b"x" * 63
    assert tenant_field(asked_by_grpc(RouteRequest(message=Message(tenant_id="ä b")))) == "ä b".encode()
    assert tenant_field(asked_by_grpc(RouteRequest())) == b""


# request id and message id


def test_the_request_id() -> None:
    assert asked(DOCUMENTED).request_id == "ours-1"
    assert asked(REAL).request_id == "req-1"
    assert asked(without(REAL, "request_id")).request_id == "ours-1"
    assert asked_by_grpc(ROUTE_REQUEST).request_id == "msg-1"
    assert asked_by_grpc(RouteRequest()).request_id == "ours-1"


def test_the_request_id_is_the_message_id_where_none_was_given() -> None:
    assert routed(asked(REAL)).message.message_id == "msg-1"
    assert routed(asked(without(REAL, "message_id"))).message.message_id == "req-1"


# trace


@pytest.mark.parametrize("trace", [TRACE, UUID, UUID.upper()])
def test_a_trace_that_the_router_would_take(trace: str) -> None:
    assert asked(DOCUMENTED, {b"x-trace-id": trace.encode()}).trace == trace
    assert asked({**REAL, "trace_id": "another"}, {b"x-trace-id": trace.encode()}).trace == trace


@pytest.mark.parametrize("trace", ["trace-1", "", TRACE + "0", TRACE + "\n", UUID.replace("-4", "-1"), "é" * 32])
def test_another_trace_is_none(trace: str) -> None:
    assert asked(DOCUMENTED, {b"x-trace-id": trace.encode()}).trace == ""


def test_a_real_decides_trace_may_stand_in_the_body_and_a_grpc_one_in_the_message() -> None:
    assert asked({**REAL, "trace_id": "trace-1"}, {}).trace == "trace-1"
    assert asked({**REAL, "trace_id": TRACE}, {b"x-trace-id": b"bad"}).trace == TRACE
    assert asked_by_grpc(ROUTE_REQUEST).trace == TRACE
    assert routed(asked({**REAL, "trace_id": TRACE}, {})).message.trace_id == TRACE


# A real decide to c-gateway.


def completed(document: dict[str, Any], fields: dict[bytes, bytes]) -> Any:
    decide = asked(document, fields)
    assert decide.sent is not None
    body = complete_real(decide, decide.sent)
    return None if body is None else json.loads(body)


def test_a_complete_real_decide_stays_as_it_came() -> None:
    assert completed(REAL, {}) is None
    assert completed(REAL, {b"x-tenant-id": b"acme"}) is None  # c-gateway itself prefers the header
    assert completed(without(REAL, "policy_id", "message_id", "metadata", "context"), {}) is None


@pytest.mark.parametrize("missing", ["version", "request_id", "message_type", "payload", "tenant_id"])
def test_a_real_decide_gets_what_it_lacks_and_keeps_the_rest(missing: str) -> None:
    sent = {**without(REAL, missing), "run_id": "run-1", "constraints": {"max_cost": 1}}
    due = {"request_id": "ours-1", "tenant_id": "acme"}.get(missing, REAL[missing])
    assert completed(sent, {b"x-tenant-id": b"acme"}) == {**sent, missing: due}
    if missing != "version":
        assert completed({**sent, missing: None}, {b"x-tenant-id": b"acme"}) == {**sent, missing: due}


def test_a_tenant_that_nobody_names_is_not_made_up() -> None:
    assert completed(without(REAL, "tenant_id"), {}) is None


def test_what_is_too_deep_to_be_written_is_not_carried() -> None:
    deep = b'{"message": {"type": "t", "payload": {"a": %b1%b}}}' % (b"[" * 300, b"]" * 300)
    decide = read_json(deep, {}, "ours-1")
    assert decide is not None
    with pytest.raises(Untranslatable):
        write_real(decide)
    with pytest.raises(Untranslatable):
        write_route_request(decide, 0)
