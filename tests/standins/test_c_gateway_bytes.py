"""The gateway's answers as they are on the wire. The lengths are the real one's, not counted here."""

from __future__ import annotations

import pytest

from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_faults import GatewayFault, GatewayKind
from tests.kit.c_gateway import DTO, TENANT, TRACE, ask, body, decide, request

CLOCK = 1_795_241_557.793238
"""2026-11-21T06:12:37.793238Z"""


def reply(status: str, length: int, text: str) -> bytes:
    """What most answers look like: no Date, no Server, and it says that it closes."""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        f"Connection: close\r\n\r\n{text}"
    ).encode()


def refusal(status: str, length: int, code: str, message: str, tenant: str = "") -> bytes:
    """The gateway's own error, before it has looked into a body."""
    return reply(
        status,
        length,
        f'{{"ok":false,"error":{{"code":"{code}","message":"{message}","intake_error_code":null,"details":{{}}}},'
        f'"context":{{"request_id":"","trace_id":"","tenant_id":"{tenant}"}}}}',
    )


HEALTHY = reply("200 OK", 62, '{"status":"healthy","timestamp":"2026-11-21T06:12:37.793238Z"}')
STUB = reply(
    "200 OK",
    166,
    '{"message_id":"dummy","provider_id":"provider-1","reason":"stub","priority":1,"expected_latency_ms":42,'
    '"expected_cost":0.001,"currency":"USD","trace_id":"trace-stub"}',
)
LOOKED_UP = STUB.replace(b"166", b"176").replace(b'"stub"', b'"stub-get-by-id"')
BAD, GONE, CONFLICT = "400 Bad Request", "404 Not Found", "409 Conflict"
NOWHERE = refusal(GONE, 170, "invalid_request", "route not found")
NO_TENANT = refusal(BAD, 181, "invalid_request", "missing X-Tenant-ID header")
NO_BODY = refusal(BAD, 184, "invalid_request", "empty request body", "demo-tenant")
NO_DTO = refusal(BAD, 192, "invalid_request", "invalid decide request DTO", "demo-tenant")
DOCUMENTED = '{"version":"1","message":{"type":"text.generate","payload":"Hello","metadata":{}},"policy_id":"p"}'
BLOCK = '{"type":"http","version":"1.0","schema":{"input":{"type":"object"},"output":{"type":"object"}}}'
BLOCKS = "/api/v1/registry/blocks/http/1.0"

SAID = {
    "health": (request("GET /health"), HEALTHY),
    "health, its other name": (request("GET /_health"), HEALTHY),
    "health over HTTP/1.0": (b"GET /health HTTP/1.0\r\n\r\n", HEALTHY),
    "health, bare line feeds": (b"GET /health HTTP/1.1\nHost: x\n\n", HEALTHY),
    "health, a head without its end": (b"GET /health HTTP/1.1\r\nHost: x\r\n", HEALTHY),
    "health, with a query": (request("GET /health?x=1"), NOWHERE),
    "health, HEAD, which gets a body": (request("HEAD /health"), NOWHERE),
    "an absolute target": (request("GET http://127.0.0.1/health"), NOWHERE),
    "an unknown path": (request("GET /nope"), NOWHERE),
    "the demo's own control path": (request("GET /_fault"), NOWHERE),
    "a preflight": (request("OPTIONS /api/v1/routes/decide", "Origin: http://x"), NOWHERE),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", NOWHERE),
    "the hello of TLS": (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        refusal(BAD, 177, "invalid_request", "malformed request line"),
    ),
    "decide": (decide(TENANT, "X-API-Key: k", "X-Trace-ID: trace-1"), STUB),
    "decide, with nobody's key": (decide(), STUB),
    "decide, with a traceparent": (decide(TENANT, "traceparent: 00-4bf92f3577b34da6-00f067aa-01"), STUB),
    "decide, of 60 kB": (decide(body=body(payload={"text": "x" * 60_000})), STUB),
    "decide, no tenant": (decide("X-API-Key: k"), NO_TENANT),
    "decide, tenant in lower case": (decide("x-tenant-id: demo-tenant"), NO_TENANT),
    "decide, tenant as Go spells it": (decide("X-Tenant-Id: demo-tenant"), NO_TENANT),
    "decide, bad JSON": (decide(body='{"version": "1", oops'), NO_DTO),
    "decide, as documented": (decide(body=DOCUMENTED), NO_DTO),
    "decide, of another version": (decide(body=body(version="2")), NO_DTO),
    "decide, a payload that is text": (decide(body=body(task={"type": "t", "payload": "x"})), NO_DTO),
    "decide, tenant in the header only": (decide(body=body(tenant_id=None)), NO_DTO),
    "decide, no body": (decide(TENANT, "Content-Length: 0", body=""), NO_BODY),
    "decide, chunked": (
        request("POST /api/v1/routes/decide", TENANT, "Transfer-Encoding: chunked") + b'5\r\n{"a":\r\n0\r\n\r\n',
        NO_DTO,
    ),
    "decide, waiting for 100": (decide(TENANT, "Expect: 100-continue", "Content-Length: 301", body=""), NO_BODY),
    "decide, twice in one write": (decide() + decide(), NO_DTO),
    "decide, with a query": (
        request("POST /api/v1/routes/decide?a=1", TENANT, body=body()),
        refusal(GONE, 181, "invalid_request", "route not found", "demo-tenant"),
    ),
    "decide, PUT": (
        request("PUT /api/v1/routes/decide", TENANT, body=body()),
        refusal(GONE, 181, "invalid_request", "route not found", "demo-tenant"),
    ),
    "decide, GET": (request("GET /api/v1/routes/decide"), NOWHERE),
    "a quote in the tenant: no JSON any more": (
        decide('X-Tenant-ID: a"b', body='{"x":'),
        refusal(BAD, 184, "invalid_request", "invalid decide request DTO", 'a"b'),
    ),
    "a tenant of 100 bytes, cut to 63": (
        decide("X-Tenant-ID: " + "t" * 100, body='{"x":'),
        refusal(BAD, 244, "invalid_request", "invalid decide request DTO", "t" * 63),
    ),
    "a message is a decide": (request("POST /api/v1/messages", TENANT, body=body()), STUB),
    "a decision by its message": (request("GET /api/v1/routes/decide/msg-1", TENANT), LOOKED_UP),
    "a decision, no tenant": (
        request("GET /api/v1/routes/decide/msg-1"),
        refusal(BAD, 192, "invalid_request", "missing tenant_id for decision lookup"),
    ),
    "a message, changed": (
        request("PUT /api/v1/messages/m1", TENANT, body='{"message_id":"m1","text":"x"}'),
        reply("200 OK", 30, '{"message_id":"m1","text":"x"}'),
    ),
    "a message, of another id": (
        request("PUT /api/v1/messages/m1", TENANT, body='{"message_id":"m2"}'),
        refusal(CONFLICT, 188, "conflict", "message_id mismatch with path", "demo-tenant"),
    ),
    "a message, deleted": (
        request("DELETE /api/v1/messages/m1", TENANT),
        reply("200 OK", 38, '{"status":"deleted","message_id":"m1"}'),
    ),
    "a message, read: no such route": (request("GET /api/v1/messages/m1"), NOWHERE),
    "a stream of nobody's": (
        request("GET /api/v1/messages/stream"),
        refusal(BAD, 172, "invalid_request", "missing tenant_id"),
    ),
    "a block": (
        request(f"POST {BLOCKS}", TENANT, body=BLOCK),
        reply("201 Created", 66, '{"type":"http","version":"1.0","status":"created","ts":1795241557}'),
    ),
    "a block, of another type": (
        request(f"POST {BLOCKS}", TENANT, body='{"type":"ftp","version":"1.0"}'),
        refusal(CONFLICT, 179, "conflict", "type/version mismatch with path"),
    ),
    "a block, unknown": (
        request(f"DELETE {BLOCKS}", TENANT),
        refusal(GONE, 164, "not_found", "block not found"),
    ),
    "the extensions' health": (
        request("GET /api/v1/extensions/health"),
        reply(
            "200 OK",
            118,
            '{"health":{"extension_1":{"extension_id":"extension_1","status":"healthy","success_rate":0.95,'
            '"avg_latency_ms":25.5}}}',
        ),
    ),
    "the extensions' breakers": (
        request("GET /api/v1/extensions/circuit-breakers"),
        reply("200 OK", 77, '{"states":[{"extension_id":"extension_1","state":"closed","opened_at_ms":0}]}'),
    ),
    "a dry run": (
        request("POST /api/v1/policies/dry-run", TENANT, body='{"tenant_id":"t","policy_id":"p","payload":{}}'),
        reply(
            "200 OK",
            135,
            '{"ok":true,"result":{"decision":{"provider_id":"openai","reason":"weighted","priority":1},'
            '"executed_extensions":[],"final_payload":{}}}',
        ),
    ),
    "a dry run of nothing": (
        request("POST /api/v1/policies/dry-run", TENANT, "Content-Length: 0"),
        refusal(BAD, 184, "INVALID_REQUEST", "empty request body", "demo-tenant"),
    ),
    "a policy's complexity": (
        request("GET /api/v1/policies/t1/p1/complexity"),
        reply(
            "200 OK",
            261,
            '{"complexity_score":45,"total_extensions":3,"pre_count":1,"validators_count":1,"post_count":1,'
            '"estimated_latency_ms":90,"recommended_max_total":4,"recommended_max_pre":2,'
            '"recommended_max_validators":2,"recommended_max_post":2,"warnings":[],"recommendations":[]}',
        ),
    ),
    "a policy, anything else": (
        request("GET /api/v1/policies/t1"),
        refusal(GONE, 167, "NOT_FOUND", "endpoint not found"),
    ),
}


@pytest.mark.parametrize("name", SAID)
async def test_it_says_exactly_this(name: str) -> None:
    asked, said = SAID[name]
    async with CGateway(clock=lambda: CLOCK) as gateway:
        assert await ask(gateway, asked) == said


async def test_a_block_is_forgotten() -> None:
    async with CGateway(clock=lambda: CLOCK) as gateway:
        await ask(gateway, request(f"PUT {BLOCKS}", body=BLOCK))
        assert await ask(gateway, request(f"DELETE {BLOCKS}")) == reply(
            "200 OK", 71, '{"status":"unregistered","type":"http","version":"1.0","ts":1795241557}'
        )


async def test_backpressure_tells_its_length_twice() -> None:
    async with CGateway(fault=GatewayFault(GatewayKind.BACKPRESSURE)) as gateway:
        assert await ask(gateway, decide()) == (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 209\r\n"
            b"Retry-After: 30\r\nContent-Length: 209\r\nConnection: close\r\n\r\n"
            b'{"ok":false,"error":{"code":"service_overloaded","message":"Router is overloaded, please retry later",'
            b'"intake_error_code":null,"details":{}},'
            b'"context":{"request_id":"","trace_id":"","tenant_id":"demo-tenant"}}'
        )


async def test_once_a_body_was_read_an_error_tells_its_request() -> None:
    async with CGateway(fault=GatewayFault(GatewayKind.UNAVAILABLE)) as gateway:
        assert await ask(gateway, decide(TENANT, TRACE)) == reply(
            "503 Service Unavailable",
            225,
            '{"ok":false,"error":{"code":"unavailable","message":"router or NATS unavailable",'
            '"intake_error_code":null,"details":{}},"context":{"request_id":"req-1",'
            '"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","tenant_id":"demo-tenant"}}',
        )


async def test_what_was_read_is_kept_for_tests() -> None:
    async with CGateway() as gateway:
        await ask(gateway, decide(TENANT, "x-colour:  red"))
        (call,) = gateway.calls
        assert (call.method, call.path, call.body) == (b"POST", b"/api/v1/routes/decide", body(**DTO).encode())
        assert (b"x-colour", b"red") in call.headers
        assert call.raw.startswith(b"POST /api/v1/routes/decide HTTP/1.1\r\n")
        assert gateway.requests == 1
