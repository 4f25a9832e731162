"""The Router, asked in each shape: what reaches it, and what the caller gets of its answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.body import Body, Messages
from sidecar.call import Call, Facts, Sign, What, Wire
from sidecar.dialects.beamline import DECIDE
from sidecar.errors import UpstreamError
from sidecar.pb.beamline.flow.v1.flow_pb2 import Message, RouteDecision, RouteRequest
from sidecar.upstreams.transcode import RouterDecides, router_cannot
from tests.kit.decides import DOCUMENTED, REAL, ROUTE_REQUEST, TRACE
from tests.kit.gateway import OneAttempt
from tests.kit.inner import Inner, grpc_answer, grpc_call, grpc_status, http_call, in_pieces, still_coming

if TYPE_CHECKING:
    from sidecar.call import Reply

TENANT = (b"X-Tenant-ID", b"acme")
REAL_BODY = json.dumps(REAL).encode()
DOCUMENTED_BODY = json.dumps(DOCUMENTED).encode()
DECIDED = RouteDecision(
    provider_id="openai:gpt-4o", reason="weighted", priority=50, expected_latency_ms=850, metadata={"tenant_id": "acme"}
)
JSON = (b"Content-Type", b"application/json")


def around(inner: Inner, *, max_held: int = 100_000, tenant: str = "") -> RouterDecides:
    return RouterDecides(inner, max_held=max_held, wall=lambda: 1_700_000_000.25, tenant=tenant)


async def asked(call: Call, answer: Reply | None = None, tenant: str = "") -> tuple[Call, Reply]:
    """What reached the Router, and what came of its answer."""
    inner = Inner(answer or grpc_answer(DECIDED.SerializeToString()))
    reply = await around(inner, tenant=tenant).send(call, OneAttempt())
    return inner.call, reply


def request_of(call: Call) -> RouteRequest:
    assert call.body.whole is not None
    return RouteRequest.FromString(call.body.whole)


def whole(reply: Reply) -> Any:
    assert reply.whole is not None
    return json.loads(reply.whole)


async def refused(call: Call, *answers: Reply, max_held: int = 100_000) -> Facts:
    with pytest.raises(UpstreamError) as caught:
        await around(Inner(*answers), max_held=max_held).send(call, OneAttempt())
    return caught.value.facts


# gRPC callers.


async def test_other_methods_pass_untouched() -> None:
    call = grpc_call(b"\x0a\xff", method=b"/beamline.flow.v1.RouterAdmin/GetPolicy")
    answer = grpc_status("NOT_FOUND", "no such policy")
    assert await asked(call, answer) == (call, answer)


async def test_a_decide_that_names_its_policy_passes_untouched() -> None:
    call = grpc_call(ROUTE_REQUEST.SerializeToString(), (b"x-user-id", b"u"))
    answer = grpc_answer(DECIDED.SerializeToString())
    assert await asked(call, answer) == (call, answer)


async def test_a_decide_without_a_policy_asks_for_the_default_one() -> None:
    call = grpc_call(RouteRequest(message=Message(tenant_id="acme")).SerializeToString(), (b"x-user-id", b"u"))
    sent, _ = await asked(call)
    assert request_of(sent) == RouteRequest(message=Message(tenant_id="acme"), policy_id="default")
    assert (sent.headers, sent.unary, sent.target) == (call.headers, True, DECIDE)
    assert isinstance(sent.body, Messages)


async def test_a_message_that_cannot_be_read_is_the_routers_to_refuse() -> None:
    call = grpc_call(b"\x0a\xff")
    assert (await asked(call, grpc_status("INVALID_ARGUMENT", "bad")))[0] is call


async def test_a_decide_whose_message_is_still_coming_is_made_unary() -> None:
    body, attempt, inner = (
        still_coming(Messages, ROUTE_REQUEST.SerializeToString()),
        OneAttempt(),
        Inner(grpc_answer(b"")),
    )
    assert isinstance(body, Messages)
    await around(inner).send(grpc_call(body), attempt)
    assert inner.call.unary
    assert request_of(inner.call) == ROUTE_REQUEST
    assert attempt.clock_started == 1


# HTTP callers: what reaches the Router.


async def test_a_documented_decide() -> None:
    headers = [TENANT, (b"X-Api-Key", b"k"), (b"X-Correlation-ID", b"c"), (b"X-User-ID", b"u"), (b"Accept", b"*/*")]
    call = http_call(DOCUMENTED_BODY, *headers, (b"X-Trace-ID", TRACE.encode()))
    call.deadline, call.idempotent, call.outgoing = 7.0, True, b"/api/v1/messages"
    sent, _ = await asked(call)
    assert request_of(sent) == RouteRequest(
        message=Message(
            message_id="msg-1",
            tenant_id="acme",
            trace_id=TRACE,
            message_type="text.generate",
            payload=b"Hello, world!",
            metadata={"model": "gpt-4", "turns": "3"},
            timestamp_ms=1_700_000_000_250,
        ),
        policy_id="demo-policy",
        context={"session_id": "s1"},
    )
    assert (sent.wire, sent.method, sent.target, sent.path, sent.unary) == (Wire.GRPC, b"POST", DECIDE, DECIDE, True)
    assert sent.headers == [(b"x-api-key", b"k"), (b"x-user-id", b"u"), (b"x-tenant-id", b"acme")]
    assert sent.fields == dict(sent.headers)
    assert (sent.id, sent.traceparent, sent.deadline, sent.idempotent) == ("ours-1", b"00-trace", 7.0, True)
    assert (call.wire, call.body.whole) == (Wire.HTTP, DOCUMENTED_BODY)


async def test_a_real_decide() -> None:
    sent, _ = await asked(http_call(REAL_BODY))
    assert request_of(sent).message.tenant_id == "demo-tenant"
    assert request_of(sent).message.payload == b'{"text":"Hello, world!"}'


async def test_whom_the_settings_name_where_the_caller_names_none() -> None:
    sent, _ = await asked(http_call(DOCUMENTED_BODY), tenant="demo")
    assert request_of(sent).message.tenant_id == "demo"


async def test_a_tenant_goes_along_as_metadata_so_that_no_default_says_otherwise() -> None:
    sent, _ = await asked(http_call(REAL_BODY, (b"x-tenant-id", b"acme")), tenant="demo")
    assert sent.headers == [(b"x-tenant-id", b"acme")]
    sent, _ = await asked(http_call(REAL_BODY), tenant="demo")
    assert sent.headers == [(b"x-tenant-id", b"demo-tenant")]


async def test_a_tenant_that_cannot_stand_in_metadata_goes_in_the_message_alone() -> None:
    sent, _ = await asked(http_call(json.dumps({**REAL, "tenant_id": "h\u00f6fe"}).encode()))
    assert (request_of(sent).message.tenant_id, sent.headers) == ("höfe", [])


async def test_a_body_that_is_still_coming_is_awaited_and_the_clock_told() -> None:
    call, attempt = http_call(still_coming(Body, REAL_BODY[:9], REAL_BODY[9:])), OneAttempt()
    inner = Inner(grpc_answer(DECIDED.SerializeToString()))
    await around(inner).send(call, attempt)
    assert attempt.clock_started == 1
    assert call.body.whole == REAL_BODY


async def test_a_call_that_goes_in_a_circle_is_known_across_protocols() -> None:
    sent, _ = await asked(http_call(REAL_BODY, (b"Via", b"1.1 sidecar-1")))
    assert sent.headers[0] == (b"via", b"1.1 sidecar-1")
    assert sent.fields == dict(sent.headers)


# HTTP callers: what cannot be carried.


@pytest.mark.parametrize("value", [b"Bearer \xe9", b"a\tb", "ü".encode()])
async def test_a_field_that_cannot_stand_in_metadata(value: bytes) -> None:
    facts = await refused(http_call(REAL_BODY, (b"Authorization", value)))
    assert (facts.what, facts.sign, facts.detail) == (
        What.CANNOT_CARRY,
        None,
        "its authorization cannot stand in metadata",
    )


async def test_the_router_cannot_grpc_and_of_http_the_decides() -> None:
    assert not router_cannot(grpc_call(b"", method=b"/any/Method"))
    assert not router_cannot(http_call(b""))
    assert not router_cannot(http_call(b"", path=b"/api/v1/messages"))
    get, tunnel = http_call(b""), http_call(b"")
    get.method, tunnel.upgrade = b"GET", b"websocket"
    for call in (get, tunnel, http_call(b"", path=b"/api/v1/routes/decide/1"), http_call(b"", path=b"/v1/messages")):
        assert router_cannot(call)
        assert (await refused(call)).what is What.CANNOT_CARRY


@pytest.mark.parametrize("body", [b"", b"oops", b'{"version": "1"}', b'{"message": {"type": "t"}}'])
async def test_what_is_no_decide_is_not_for_the_router(body: bytes) -> None:
    facts = await refused(http_call(body))
    assert (facts.what, facts.sign) == (What.CANNOT_CARRY, None)


async def test_what_is_too_deep_to_be_said_again() -> None:
    deep = b'{"message": {"type": "t", "payload": {"a": %b%b}}}' % (b"[" * 300, b"]" * 300)
    assert (await refused(http_call(deep))).what is What.CANNOT_CARRY


async def test_a_body_that_is_too_long_to_be_held() -> None:
    coming = still_coming(Messages, b"123", b"45")
    assert isinstance(coming, Messages)
    for call in (http_call(b"12345"), http_call(still_coming(Body, b"123", b"45")), grpc_call(coming)):
        facts = await refused(call, max_held=4)
        assert (facts.what, facts.sign) == (What.CANNOT_CARRY, Sign.TOO_LARGE)


# HTTP callers: what they get.


async def test_a_documented_decide_gets_the_documented_answer() -> None:
    answer = grpc_answer(DECIDED.SerializeToString())
    _, reply = await asked(http_call(DOCUMENTED_BODY, TENANT), answer)
    assert (reply.status, reply.headers, reply.length) == (200, [JSON], len(reply.whole or b""))
    assert reply.fields == {b"content-type": b"application/json"}
    assert reply.facts is answer.facts
    assert whole(reply) == {
        "decision_id": "ours-1",
        "provider_id": "openai:gpt-4o",
        "reason": "weighted",
        "priority": 50,
        "expected_latency_ms": 850,
        "expected_cost": 0.0,
        "metadata": {"tenant_id": "acme"},
    }


async def test_a_real_decide_gets_the_nested_answer() -> None:
    _, reply = await asked(http_call(REAL_BODY, TENANT))
    assert whole(reply)["ok"] is True
    assert whole(reply)["decision"]["metadata"] == {"tenant_id": "acme"}
    assert whole(reply)["context"] == {"request_id": "req-1"}


async def test_an_error_is_c_gateways_and_judged_by_grpc() -> None:
    _, reply = await asked(http_call(REAL_BODY, TENANT), grpc_status("NOT_FOUND", "no such policy"))
    assert (reply.status, reply.headers, reply.facts.grpc_code) == (404, [JSON], "NOT_FOUND")
    assert whole(reply) == {
        "ok": False,
        "error": {
            "code": "policy_not_found",
            "message": "no such policy",
            "intake_error_code": None,
            "details": {},
        },
        "context": {"request_id": "req-1", "trace_id": "", "tenant_id": "acme"},
    }


async def test_a_crash_of_the_routers_is_not_shown_whole() -> None:
    _, reply = await asked(http_call(REAL_BODY), grpc_status("INTERNAL", "error:badarg\n[{router_grpc,decide,2,[]}]"))
    assert reply.status == 500
    assert whole(reply)["error"]["message"] == "error:badarg"


@pytest.mark.parametrize(
    ("code", "wait", "told"),
    [
        ("RESOURCE_EXHAUSTED", None, [b"1"]),
        ("RESOURCE_EXHAUSTED", 1.2, [b"2"]),
        ("RESOURCE_EXHAUSTED", 0.0, [b"0"]),
        ("RESOURCE_EXHAUSTED", -1.0, []),
        ("UNAVAILABLE", None, []),
        ("UNAVAILABLE", 3.0, [b"3"]),
    ],
)
async def test_when_to_come_back_is_told_in_seconds(code: str, wait: float | None, told: list[bytes]) -> None:
    facts = Facts(What.REPLY, status=200, grpc_code=code, wait=wait)
    _, reply = await asked(http_call(REAL_BODY), grpc_status(code, "later", facts))
    assert [value for name, value in reply.headers if name == b"Retry-After"] == told


async def test_a_message_that_was_too_long_for_the_router() -> None:
    facts = Facts(What.REPLY, status=200, grpc_code="RESOURCE_EXHAUSTED", sign=Sign.MESSAGE_SIZE)
    _, reply = await asked(http_call(REAL_BODY), grpc_status("RESOURCE_EXHAUSTED", "larger than max", facts))
    assert reply.status == 413
    assert reply.facts is facts


async def test_bytes_that_are_no_decision_are_no_answer() -> None:
    assert (await refused(http_call(REAL_BODY), grpc_answer(b"\x0a\xff"))).what is What.UNPARSEABLE


async def test_an_ok_without_a_message_is_no_answer() -> None:
    assert (await refused(http_call(REAL_BODY), grpc_status("OK", ""))).what is What.UNPARSEABLE


async def test_an_answer_that_comes_as_a_stream_is_read_and_given_back() -> None:
    answer = grpc_answer(b"")
    closed = in_pieces(answer, DECIDED.SerializeToString())
    _, reply = await asked(http_call(REAL_BODY), answer)
    assert whole(reply)["decision"]["provider_id"] == "openai:gpt-4o"
    assert closed.times == 1


async def test_what_is_below_is_closed() -> None:
    inner = Inner(grpc_answer(b""))
    await around(inner).aclose()
    assert inner.closed
