"""The body of a decide: what is checked, what goes on, what becomes of the answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.standins.c_gateway_decide import looked_up, passed_on, read, route_request, status_of
from sidecar.standins.c_gateway_wire import Context
from tests.kit.c_gateway import DTO, body

TASK = {"type": "t", "payload": {}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3),
    max_leaves=8,
)


def test_what_it_needs_is_enough() -> None:
    assert read(b'{"version":"1","tenant_id":"t","request_id":"r","task":{"type":"t","payload":{}}}')


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 1},
        {"version": None},
        {"tenant_id": None},
        {"tenant_id": 7},
        {"request_id": None},
        {"request_id": ["r"]},
        {"task": None},
        {"task": []},
        {"task": {"payload": {}}},
        {"task": TASK | {"type": 1}},
        {"task": {"type": "t"}},
        {"task": TASK | {"payload": "text"}},
        {"task": TASK | {"payload": []}},
    ],
)
def test_one_thing_wrong_is_enough_to_refuse(changes: dict[str, Any]) -> None:
    assert read(body(**changes).encode()) is None


@pytest.mark.parametrize("changes", [{"payload": "text"}, {"metadata": []}, {"context": 1}, {"policy_id": 7}])
def test_what_is_optional_is_not_checked_but_dropped(changes: dict[str, Any]) -> None:
    asked = read(body(**changes).encode())
    assert asked is not None
    route = route_request(asked, Context())
    (name,) = changes
    assert name not in route
    assert name not in str(route["message"])


def test_the_router_gets_no_task_and_the_headers_ids() -> None:
    asked = DTO | {"trace_id": "body", "run_id": "run", "idempotency_key": "k", "constraints": {}}
    assert route_request(asked, Context(tenant_id=b"header", trace_id=b"trace")) == {
        "version": "1",
        "tenant_id": "header",
        "request_id": "req-1",
        "trace_id": "trace",
        "run_id": "run",
        "message": {
            "message_id": "msg-1",
            "message_type": "text.generate",
            "payload": {"text": "Hello, world!"},
            "metadata": {"model": "gpt-4"},
        },
        "policy_id": "demo-policy",
        "context": {"session_id": "s1"},
    }
    route = route_request(asked, Context())
    assert (route["tenant_id"], route["trace_id"]) == ("demo-tenant", "body")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"text",
        b"[]",
        b'{"ok": false}',
        b'{"ok": false, "error": "text"}',
        b'{"ok": false, "error": {"code": 5}}',
        b'{"ok": 0, "error": {"code": "internal"}}',
        b'{"ok": true, "error": {"code": "internal"}}',
        b'{"ok": false, "error": {"code": "new"}}',
    ],
)
def test_what_is_no_error_that_it_knows_is_200_as_it_is(reply: bytes) -> None:
    answer = passed_on(reply)
    assert answer.status == 200
    assert b"".join(answer.pieces).endswith(b"\r\n\r\n" + reply)


def test_a_lookup_has_no_503_and_adds_nothing() -> None:
    reply = b'{"ok": false, "error": {"code": "extension_unavailable"}}'
    assert (looked_up(reply).status, looked_up(reply).pieces[1]) == (200, reply)
    assert looked_up(reply.replace(b"extension_unavailable", b"policy_not_found")).status == 404


@given(told=JSON)
def test_no_answer_of_the_routers_is_too_strange(told: object) -> None:
    assert status_of(told) in {0, 400, 401, 403, 404, 500, 503, 504}


@given(data=st.binary())
def test_no_body_is_too_strange(data: bytes) -> None:
    assert read(data) is None
