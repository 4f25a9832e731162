"""c-gateway, asked in each shape: what reaches it, and what the caller gets of its answers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.body import Body, Messages
from sidecar.call import Call, Facts, Sign, What, Wire
from sidecar.dialects.beamline import DECIDE
from sidecar.errors import UpstreamError
from sidecar.pb.beamline.flow.v1.flow_pb2 import Message, RouteDecision, RouteRequest
from sidecar.upstreams.transcode import GatewayDecides, gateway_cannot
from tests.kit.decides import DOCUMENTED, REAL, ROUTE_REQUEST, TRACE
from tests.kit.gateway import OneAttempt
from tests.kit.inner import Inner, grpc_call, http_answer, http_call, in_pieces, still_coming

if TYPE_CHECKING:
    from sidecar.call import Reply

TENANT = (b"X-Tenant-ID", b"acme")
REAL_BODY = json.dumps(REAL, indent=1).encode()
DOCUMENTED_BODY = json.dumps(DOCUMENTED).encode()
STUB = (
    b'{"message_id":"dummy","provider_id":"provider-1","reason":"stub","priority":1,"expected_latency_ms":42,'
    b'"expected_cost":0.001,"currency":"USD","trace_id":"trace-stub"}'
)
NESTED = (
    b'{"ok": true, "decision": {"provider_id": "openai:gpt-4o", "priority": 50, "expected_latency_ms": 0, '
    b'"expected_cost": 0.0, "reason": "weighted"}, "context": {"request_id": "req-1"}}'
)
EMPTY = b'{"ok":false,"error":{"code":"invalid_request","message":"empty request body"}}'


def failed(code: str, message: str = "simulated") -> bytes:
    return json.dumps({"ok": False, "error": {"code": code, "message": message}}).encode()


async def asked(call: Call, answer: Reply, tenant: str = "") -> tuple[Call, Reply]:
    """What reached c-gateway, and what came of its answer."""
    inner = Inner(answer)
    reply = await GatewayDecides(inner, tenant=tenant).send(call, OneAttempt())
    return inner.call, reply


def body_of(call: Call) -> Any:
    assert call.body.whole is not None
    return json.loads(call.body.whole)


def whole(reply: Reply) -> Any:
    assert reply.whole is not None
    return json.loads(reply.whole)


async def refused(call: Call, *answers: Reply | Exception) -> Facts:
    with pytest.raises(UpstreamError) as caught:
        await GatewayDecides(Inner(*answers)).send(call, OneAttempt())
    return caught.value.facts


# What passes untouched.


async def test_what_is_no_decide_passes() -> None:
    passing = [
        http_call(b"{}", path=b"/api/v1/policies/dry-run"),
        http_call(DOCUMENTED_BODY, path=b"/api/v1/routes/decide?pretty"),
        http_call(DOCUMENTED_BODY, path=b"/api/v1/routes/decide/msg-1"),
    ]
    get = http_call(b"")
    get.method = b"GET"
    rewritten = http_call(DOCUMENTED_BODY)
    rewritten.outgoing = b"/elsewhere"
    for call in (*passing, get, rewritten):
        answer = http_answer(200, b"anything")
        assert await asked(call, answer) == (call, answer)
        assert answer.whole == b"anything"


async def test_a_complete_real_decide_and_its_nested_answer_pass_byte_for_byte() -> None:
    call = http_call(REAL_BODY, TENANT, (b"Accept-Encoding", b"gzip"))
    sent, reply = await asked(call, http_answer(200, NESTED))
    assert sent is call
    assert reply.whole == NESTED


async def test_on_a_path_that_a_route_rewrites() -> None:
    call = http_call(DOCUMENTED_BODY, TENANT, path=b"/mine")
    call.outgoing = b"/api/v1/messages"
    sent, _ = await asked(call, http_answer(200, STUB))
    assert sent.outgoing == b"/api/v1/messages"
    assert "task" in body_of(sent)


async def test_what_is_no_decide_but_came_as_one_gets_c_gateways_own_words() -> None:
    call = http_call(b'{"version": "1", oops', TENANT)
    answer = http_answer(400, b'{"ok":false,"error":{"code":"invalid_request","message":"invalid decide request DTO"}}')
    assert await asked(call, answer) == (call, answer)
    assert answer.facts.sign is None
    call, answer = http_call(b'{"odd": 1}', TENANT), http_answer(200, b"plain")
    assert (await asked(call, answer))[1].whole == b"plain"


# What reaches c-gateway.


async def test_a_documented_decide() -> None:
    trace = (b"X-Trace-ID", TRACE.encode())
    call = http_call(DOCUMENTED_BODY, (b"Content-Type", b"application/json"), (b"x-tenant-id", b"acme"), trace)
    call.deadline, call.caller_deadline = 7.0, 9.0
    sent, _ = await asked(call, http_answer(200, STUB))
    assert sent.headers == call.headers
    assert (body_of(sent)["tenant_id"], body_of(sent)["request_id"]) == ("acme", "ours-1")
    assert (sent.id, sent.traceparent, sent.deadline, sent.caller_deadline) == ("ours-1", b"00-trace", 7.0, 9.0)
    assert call.body.whole == DOCUMENTED_BODY


async def test_an_answer_that_is_to_be_read_here_is_asked_for_uncompressed() -> None:
    sent, _ = await asked(http_call(DOCUMENTED_BODY, TENANT, (b"Accept-Encoding", b"gzip")), http_answer(200, STUB))
    assert sent.headers == [TENANT]
    assert sent.fields == {b"x-tenant-id": b"acme"}


@pytest.mark.parametrize("body", [REAL_BODY, DOCUMENTED_BODY])
async def test_a_trace_that_the_router_would_refuse_is_not_sent(body: bytes) -> None:
    sent, _ = await asked(http_call(body, TENANT, (b"X-Trace-ID", b"trace-1")), http_answer(200, STUB))
    assert sent.headers == [TENANT]


async def test_a_real_decides_tenant_stands_in_header_and_body() -> None:
    sent, _ = await asked(http_call(REAL_BODY), http_answer(200, NESTED))
    assert sent.headers == [(b"X-Tenant-ID", b"demo-tenant")]
    assert sent.body.whole == REAL_BODY
    sent, _ = await asked(http_call(REAL_BODY, (b"X-Tenant-ID", b"")), http_answer(200, NESTED))
    assert sent.headers == [(b"X-Tenant-ID", b"demo-tenant")]
    lacking = {name: value for name, value in REAL.items() if name != "tenant_id"}
    sent, _ = await asked(http_call(json.dumps(lacking).encode(), TENANT), http_answer(200, NESTED))
    assert sent.headers == [TENANT]
    assert body_of(sent) == {**REAL, "tenant_id": "acme"}


async def test_whom_the_settings_name_where_the_caller_names_none() -> None:
    sent, _ = await asked(http_call(DOCUMENTED_BODY), http_answer(200, STUB), tenant="demo")
    assert sent.headers == [(b"X-Tenant-ID", b"demo")]
    assert body_of(sent)["tenant_id"] == "demo"


async def test_a_grpc_decide() -> None:
    metadata = [(b"x-api-key", b"k"), (b"authorization", b"Bearer t"), (b"x-user-id", b"u"), (b"x-odd-bin", b"\xff")]
    call = grpc_call(ROUTE_REQUEST.SerializeToString(), *metadata)
    call.deadline, call.idempotent = 7.0, True
    sent, _ = await asked(call, http_answer(200, STUB))
    assert (sent.wire, sent.method, sent.target, sent.outgoing) == (Wire.HTTP, b"POST", b"/api/v1/routes/decide", b"")
    assert sent.headers == [
        (b"Content-Type", b"application/json"),
        (b"X-API-Key", b"k"),
        (b"Authorization", b"Bearer t"),
        (b"X-User-ID", b"u"),
        TENANT,
        (b"X-Trace-ID", TRACE.encode()),
    ]
    assert sent.fields[b"x-tenant-id"] == b"acme"
    assert body_of(sent)["task"] == {"type": "text.generate", "payload": {"text": "Hello"}}
    assert (sent.id, sent.traceparent, sent.deadline, sent.idempotent) == ("ours-1", b"00-trace", 7.0, True)
    assert call.wire is Wire.GRPC


async def test_a_grpc_decide_without_tenant_and_with_a_trace_of_its_own_kind() -> None:
    asks = RouteRequest(message=Message(trace_id="mine\r\nX-Evil: 1")).SerializeToString()
    sent, reply = await asked(
        grpc_call(asks), http_answer(400, failed("invalid_request", "missing X-Tenant-ID header"))
    )
    assert sent.headers == [(b"Content-Type", b"application/json")]
    assert (reply.code, reply.message) == ("INVALID_ARGUMENT", "invalid_request: missing X-Tenant-ID header")


async def test_a_call_that_goes_in_a_circle_is_known_across_protocols() -> None:
    sent, _ = await asked(
        grpc_call(ROUTE_REQUEST.SerializeToString(), (b"via", b"1.1 sidecar-1")), http_answer(200, STUB)
    )
    assert sent.fields[b"via"] == b"1.1 sidecar-1"


# What cannot be carried.


async def test_c_gateway_cannot_http_and_of_grpc_the_decides() -> None:
    assert not gateway_cannot(http_call(b"", path=b"/anything"))
    assert not gateway_cannot(grpc_call(b""))
    other = grpc_call(b"", method=b"/beamline.flow.v1.RouterAdmin/GetPolicy")
    assert gateway_cannot(other)
    assert (await refused(other)).what is What.CANNOT_CARRY


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a\xff",
        RouteRequest(message=Message(tenant_id="a\r\nb")).SerializeToString(),
        RouteRequest(message=Message(tenant_id="a" * 64)).SerializeToString(),
        RouteRequest(message=Message(payload=b'{"a":' + b"[" * 300 + b"]" * 300 + b"}")).SerializeToString(),
    ],
)
async def test_a_message_that_cannot_be_said_over_http(message: bytes) -> None:
    facts = await refused(grpc_call(message))
    assert (facts.what, facts.sign) == (What.CANNOT_CARRY, None)


async def test_a_tenant_that_stands_in_the_body_only_and_fits_no_header() -> None:
    body = json.dumps({**REAL, "tenant_id": "a" * 64}).encode()
    assert (await refused(http_call(body))).what is What.CANNOT_CARRY


@pytest.mark.parametrize(
    "call",
    [
        lambda: http_call(b" " * 65_536),
        lambda: http_call(still_coming(Body, b" " * 65_535, b" ")),
        lambda: grpc_call(b" " * 65_536),
    ],
)
async def test_a_body_that_is_too_long(call: Any) -> None:
    facts = await refused(call())
    assert (facts.what, facts.sign) == (What.CANNOT_CARRY, Sign.TOO_LARGE)


async def test_a_body_that_is_still_coming_is_awaited_and_the_clock_told() -> None:
    call, attempt, inner = (
        http_call(still_coming(Body, REAL_BODY[:9], REAL_BODY[9:]), TENANT),
        OneAttempt(),
        Inner(http_answer(200, NESTED)),
    )
    await GatewayDecides(inner).send(call, attempt)
    assert inner.call.body.whole == REAL_BODY
    assert attempt.clock_started == 1
    message = ROUTE_REQUEST.SerializeToString()
    body, attempt = still_coming(Messages, message), OneAttempt()
    assert isinstance(body, Messages)
    await GatewayDecides(Inner(http_answer(200, STUB))).send(grpc_call(body), attempt)
    assert attempt.clock_started == 1


# What the caller gets.


async def test_a_documented_decide_gets_the_documented_answer() -> None:
    _, reply = await asked(http_call(DOCUMENTED_BODY, TENANT), http_answer(200, NESTED))
    assert whole(reply)["decision_id"] == "ours-1"
    assert whole(reply)["provider_id"] == "openai:gpt-4o"
    assert reply.length == len(reply.whole or b"")
    assert reply.headers == [(b"Content-Type", b"application/json")]


async def test_a_documented_answer_passes_byte_for_byte() -> None:
    flat = b'{ "decision_id": "d", "provider_id": "p" }'
    _, reply = await asked(http_call(DOCUMENTED_BODY, TENANT), http_answer(200, flat))
    assert reply.whole == flat


async def test_a_stubs_answer_is_lifted_into_the_shape_due() -> None:
    _, reply = await asked(http_call(REAL_BODY, TENANT), http_answer(200, STUB))
    assert whole(reply)["decision"]["provider_id"] == "provider-1"
    assert whole(reply)["context"] == {"request_id": "req-1"}
    _, reply = await asked(grpc_call(ROUTE_REQUEST.SerializeToString()), http_answer(200, STUB))
    assert RouteDecision.FromString(reply.whole or b"") == RouteDecision(
        provider_id="provider-1", reason="stub", priority=1, expected_latency_ms=42, expected_cost=0.001
    )
    assert (reply.code, reply.headers, reply.facts.status) == ("OK", [], 200)


async def test_an_error_over_http_passes_byte_for_byte() -> None:
    told = b'{"ok":false,"error":{"code":"policy_not_found","message":"a"b"}}'
    for body in (REAL_BODY, DOCUMENTED_BODY):
        _, reply = await asked(http_call(body, TENANT), http_answer(404, told))
        assert (reply.status, reply.whole, reply.facts.sign) == (404, told, None)


async def test_an_error_over_grpc_is_a_status_judged_by_http() -> None:
    answer = http_answer(
        429, failed("rate_limit_exceeded"), (b"Retry-After", b"60"), (b"X-RateLimit-Limit", b"50"), wait=60
    )
    _, reply = await asked(grpc_call(b""), answer)
    assert (reply.code, reply.message) == ("RESOURCE_EXHAUSTED", "rate_limit_exceeded: simulated")
    assert (reply.whole, reply.chunks) == (None, None)
    assert (reply.facts.status, reply.facts.wait, reply.facts.grpc_code) == (429, 60, "")
    assert reply.trailers == [(b"retry-after", b"60"), (b"x-ratelimit-limit", b"50")]


@pytest.mark.parametrize(
    ("code", "sign"),
    [
        ("extension_timeout", Sign.EXTENSION_TIMEOUT),
        ("unavailable", Sign.UNAVAILABLE),
        ("rate_limit_exceeded", Sign.LIMIT_EXCEEDED),
        ("validator_blocked", Sign.NOT_OK),
    ],
)
async def test_an_error_inside_a_200_has_its_sign(code: str, sign: Sign) -> None:
    calls = (http_call(REAL_BODY, TENANT), http_call(DOCUMENTED_BODY, TENANT), grpc_call(b""))
    for call in calls:
        _, reply = await asked(call, http_answer(200, failed(code)))
        assert (reply.facts.status, reply.facts.sign) == (200, sign)
        assert reply.code != "OK"


async def test_a_false_empty_body_has_its_sign() -> None:
    for call in (http_call(REAL_BODY, TENANT), http_call(b"{}", TENANT), grpc_call(b"")):
        _, reply = await asked(call, http_answer(400, EMPTY))
        assert reply.facts.sign is Sign.FALSE_EMPTY_BODY
    _, reply = await asked(http_call(b"", TENANT), http_answer(400, EMPTY))
    assert reply.facts.sign is None


@pytest.mark.parametrize("told", [b"this is not json", b'{"stream":"ROUTER", "seq":1}', b"", b"{}"])
async def test_a_200_without_a_decision_is_no_answer(told: bytes) -> None:
    for call in (http_call(REAL_BODY, TENANT), http_call(DOCUMENTED_BODY, TENANT), grpc_call(b"")):
        facts = await refused(call, http_answer(200, told))
        assert (facts.what, facts.status) == (What.UNPARSEABLE, 200)


async def test_a_redirect_is_no_answer_to_a_grpc_caller() -> None:
    assert (await refused(grpc_call(b""), http_answer(302, b""))).what is What.UNPARSEABLE
    _, reply = await asked(http_call(REAL_BODY, TENANT), http_answer(302, b""))
    assert reply.status == 302


async def test_a_decision_that_cannot_be_said_in_the_shape_due_is_no_answer() -> None:
    deep = b'{"provider_id": "p", "metadata": {"a": %b%b}}' % (b"[" * 300, b"]" * 300)
    for call in (http_call(REAL_BODY, TENANT), grpc_call(b"")):
        assert (await refused(call, http_answer(200, deep))).what is What.UNPARSEABLE


async def test_a_compressed_answer_is_somebody_elses_and_passes() -> None:
    answer = http_answer(200, b"\x1f\x8b", (b"Content-Encoding", b"gzip"))
    _, reply = await asked(http_call(REAL_BODY, TENANT), answer)
    assert reply.whole == b"\x1f\x8b"


# The answer as it comes.


async def test_an_answer_in_pieces_is_read_whole_and_given_back() -> None:
    answer = http_answer(200, b"")
    closed = in_pieces(answer, NESTED[:10], NESTED[10:])
    _, reply = await asked(http_call(REAL_BODY, TENANT), answer)
    assert (reply.whole, reply.chunks, reply.closer, closed.times) == (NESTED, None, None, 1)


async def test_a_caller_that_leaves_lets_go_of_the_answer() -> None:
    answer = http_answer(200, b"")
    closed = in_pieces(answer, NESTED[:10], None)
    sending = asyncio.ensure_future(GatewayDecides(Inner(answer)).send(http_call(REAL_BODY, TENANT), OneAttempt()))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])
    assert sending.cancelled()
    assert closed.times == 1


async def test_what_is_below_is_closed_and_its_errors_pass() -> None:
    inner = Inner(UpstreamError(Facts(What.NO_CONNECTION)))
    decides = GatewayDecides(inner)
    with pytest.raises(UpstreamError) as caught:
        await decides.send(grpc_call(b"", method=DECIDE), OneAttempt())
    assert caught.value.facts.what is What.NO_CONNECTION
    await decides.aclose()
    assert inner.closed
