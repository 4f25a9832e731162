"""Decides that nobody thought of: what is asked survives every way round, and nothing crashes a reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.decide import Shape, Untranslatable, as_text, loads
from sidecar.dialects.decide_answer import (
    lifted,
    read_json_decision,
    read_route_decision,
    write_json_decision,
    write_route_decision,
)
from sidecar.dialects.decide_error import as_failure, as_status, read_failure, sign_of, write_failure
from sidecar.dialects.decide_request import (
    complete_real,
    payload_object,
    read_json,
    read_route_request,
    tenant_field,
    with_policy,
    write_real,
    write_route_request,
)
from sidecar.pb.beamline.flow.v1.flow_pb2 import RouteDecision, RouteRequest
from tests.kit.decides import DOCUMENTED, REAL, ROUTE_REQUEST, asked

text = st.text(max_size=20)
names = st.text(min_size=1, max_size=8)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
objects = st.dictionaries(names, values, max_size=4)
KEYS = [
    "version",
    "tenant_id",
    "request_id",
    "task",
    "message",
    "type",
    "payload",
    "metadata",
    "context",
    "policy_id",
    "message_id",
    "message_type",
    "trace_id",
    "run_id",
    "ok",
    "decision",
    "decision_id",
    "provider_id",
    "reason",
    "priority",
    "expected_latency_ms",
    "expected_cost",
    "error",
    "code",
]
keys = st.sampled_from(KEYS)
words = st.sampled_from(["1", "", "t", "default", "acme"])
near = st.recursive(
    words | scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=12,
)
"""JSON in which the known names stand at places where nobody expects them."""

headers = st.fixed_dictionaries(
    {}, optional={b"x-tenant-id": st.binary(max_size=8), b"x-trace-id": st.binary(max_size=8)}
)


@st.composite
def documented(draw: st.DrawFn) -> dict[str, Any]:
    message = {"type": draw(text), "payload": draw(objects | text)}
    message |= draw(st.fixed_dictionaries({}, optional={"metadata": objects, "message_id": text}))
    optional = st.fixed_dictionaries({}, optional={"context": objects, "policy_id": text})
    return {"version": "1", "message": message, **draw(optional)}


@given(documented())
def test_a_documented_decide_says_the_same_by_way_of_the_router(document: dict[str, Any]) -> None:
    """Documented to gRPC, as that read by a c-gateway's codec, and the same as going there at once but for texts."""
    decide = asked(document)
    again = read_route_request(write_route_request(decide, 0), "other-id")
    assert again is not None
    there, back = json.loads(write_real(decide)), json.loads(write_real(again))
    for table in ("metadata", "context"):
        there[table] = {name: as_text(value) for name, value in there.pop(table, {}).items()}
        back[table] = back.pop(table, {})
    there.setdefault("message_id", there["request_id"])
    there["request_id"] = there["message_id"]  # a RouteRequest has one place for both
    assert back == there


@given(documented())
def test_a_documented_decide_says_the_same_by_way_of_the_real_shape(document: dict[str, Any]) -> None:
    decide = asked(document)
    again = read_json(write_real(decide), {}, "other-id")
    assert again is not None
    assert again.shape is Shape.REAL
    assert complete_real(again, again.sent or {}) is None
    assert (again.tenant, again.request_id, again.type) == (decide.tenant, decide.request_id, decide.type)
    assert (again.metadata, again.context, again.policy) == (decide.metadata, decide.context, decide.policy)
    assert (again.message_id, again.payload) == (decide.message_id, payload_object(decide))


@given(near | values, headers)
def test_no_json_crashes_a_reader_of_requests(document: object, fields: dict[bytes, bytes]) -> None:
    decide = read_json(json.dumps(document).encode(), fields, "ours-1")
    if decide is None:
        return
    assert decide.request_id
    assert decide.policy
    assert RouteRequest.FromString(write_route_request(decide, 0)).policy_id
    assert isinstance(loads(write_real(decide)), dict)
    if decide.sent is not None:
        body = complete_real(decide, decide.sent)
        assert body is None or {**decide.sent, **json.loads(body)} == json.loads(body)


@given(st.binary(max_size=60), headers)
def test_no_bytes_crash_a_reader_of_requests(body: bytes, fields: dict[bytes, bytes]) -> None:
    read_json(body, fields, "ours-1")
    decide = read_route_request(body, "ours-1")
    due = with_policy(body)
    if decide is None:
        assert due == body
        return
    assert RouteRequest.FromString(due).policy_id == decide.policy
    assert isinstance(json.loads(write_real(decide)), dict)
    try:
        field = tenant_field(decide)
    except Untranslatable:
        return
    assert b"\r" not in field
    assert b"\n" not in field


@given(near | values, st.sampled_from([200, 302, 400, 404, 429, 500, 503]))
def test_no_json_crashes_a_reader_of_answers(document: object, status: int) -> None:
    body = json.dumps(document).encode()
    parsed = loads(body)
    decision, failure = read_json_decision(parsed), read_failure(status, parsed, body)
    assert decision is None or failure is None or status >= 300
    if decision is not None:
        for decide in (asked(DOCUMENTED), asked(REAL)):
            again = read_json_decision(loads(write_json_decision(decision, decide)))
            assert again is not None
            assert again.shape is decide.shape
            assert (again.provider_id, again.metadata) == (decision.provider_id, decision.metadata)
        assert lifted(body) == write_route_decision(decision)
    if failure is not None:
        sign_of(failure, sent=True)
        code, message = as_status(failure)
        assert code != "OK"
        assert message


@given(st.binary(max_size=60), st.sampled_from([200, 400, 503]))
def test_no_bytes_crash_a_reader_of_answers(body: bytes, status: int) -> None:
    read_failure(status, loads(body), body)
    read_failure(status, loads(body), b'{"ok": false, "error": {"code": "' + body)
    decision = read_route_decision(body)
    if decision is not None:
        assert RouteDecision.FromString(write_route_decision(decision)).provider_id == decision.provider_id
        assert read_json_decision(loads(write_json_decision(decision, asked(REAL)))) is not None


@given(st.sampled_from(["INTERNAL", "UNKNOWN", "NOT_FOUND", "never heard of"]), st.text(st.characters(), max_size=40))
def test_any_message_of_the_routers_can_be_shown(code: str, message: str) -> None:
    body = json.loads(write_failure(as_failure(code, message), asked(REAL)))
    assert body["ok"] is False
    assert "\n" not in body["error"]["message"]


@pytest.mark.parametrize("cut", range(0, len(ROUTE_REQUEST.SerializeToString()), 7))
def test_a_route_request_that_was_cut(cut: int) -> None:
    read_route_request(ROUTE_REQUEST.SerializeToString()[:cut], "ours-1")
