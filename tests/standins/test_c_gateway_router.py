"""A gateway before a Router: what the Router says comes through byte for byte, errors nearly so."""

from __future__ import annotations

import pytest

from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_faults import GatewayFault, GatewayKind
from sidecar.standins.c_gateway_router import KEPT, Mode, Router
from tests.kit.c_gateway import TENANT, TRACE, ask, body, decide, request

CONTEXT = '{"request_id": "req-1", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}'
COMPACT = CONTEXT.replace(": ", ":").replace(", ", ",")
PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
# The Router's code → status and length of what the gateway sends.
CODES = {
    "invalid_request": (400, 226),
    "unauthorized": (401, 183),
    "policy_not_found": (404, 191),
    "decision_failed": (500, 189),
    "internal": (500, 175),
    "extension_not_found": (404, 197),
    "extension_timeout": (200, 193),
    "validator_blocked": (200, 193),
    "post_processor_failed": (500, 201),
    "extension_unavailable": (503, 201),
    "extension_error": (500, 189),
    "rate_limit_exceeded": (200, 183),
    "unavailable": (200, 167),
    "tenant_not_allowed": (200, 181),
}
PASSED_ON = {"rate_limit_exceeded", "unavailable", "tenant_not_allowed"}
"""Codes that the gateway does not know: it does not touch the body."""


def reply(status: int, length: int, text: str) -> bytes:
    return (
        f"HTTP/1.1 {status} {PHRASES[status]}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        f"Connection: close\r\n\r\n{text}"
    ).encode()


def refused(code: str) -> bytes:
    """What a caller sees of the Router's error."""
    status, length = CODES[code]
    if code == "invalid_request":  # the Router's intake gives a second code, so the gateway adds none
        error = (
            f'{{"code": "{code}", "message": "simulated {code}", "intake_error_code": "CORRELATION_FIELDS_INVALID"}}'
        )
        return reply(status, length, f'{{"ok": false, "error": {error}, "context": {CONTEXT}}}')
    if code in PASSED_ON:
        error = f'{{"code": "{code}", "message": "simulated {code}"}}'
        return reply(status, length, f'{{"ok": false, "error": {error}, "context": {CONTEXT}}}')
    error = f'{{"code":"{code}","message":"simulated {code}","intake_error_code":null}}'
    return reply(status, length, f'{{"ok":false,"error":{error},"context":{COMPACT}}}')


DECIDED = reply(
    200,
    270,
    '{"ok": true, "decision": {"provider_id": "openai:gpt-4o", "priority": 50, "expected_latency_ms": 0, '
    '"expected_cost": 0.0, "reason": "weighted", "metadata": {"tenant_id": "demo-tenant"}}, "context": '
    + CONTEXT
    + "}",
)


async def test_a_decision_is_passed_on_with_its_spaces() -> None:
    async with CGateway(mode=Mode.ROUTER) as gateway:
        assert await ask(gateway, decide(TENANT, TRACE)) == DECIDED


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("by", ["fault", "policy"])
async def test_each_of_the_routers_errors_has_its_status(code: str, by: str) -> None:
    fault = GatewayFault(GatewayKind.ROUTER_ERROR, code=code) if by == "fault" else GatewayFault()
    asked = body(policy_id=f"err:{code}") if by == "policy" else body()
    async with CGateway(mode=Mode.ROUTER, fault=fault) as gateway:
        assert await ask(gateway, decide(TENANT, TRACE, body=asked)) == refused(code)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (GatewayKind.NOT_JSON, reply(200, 16, "this is not json")),
        (GatewayKind.ACK, reply(200, 28, '{"stream":"ROUTER", "seq":1}')),
    ],
)
async def test_what_is_no_decision_comes_as_one(kind: GatewayKind, said: bytes) -> None:
    async with CGateway(mode=Mode.ROUTER, fault=GatewayFault(kind)) as gateway:
        assert await ask(gateway, decide()) == said


async def test_a_decision_can_be_asked_for_again() -> None:
    asked = request("GET /api/v1/routes/decide/msg-1", TENANT)
    decision = '{"ok": true, "decision": {"provider_id": "openai:gpt-4o", "reason": "weighted"}, "context": '
    async with CGateway(mode=Mode.ROUTER) as gateway:
        await ask(gateway, decide())
        assert await ask(gateway, asked) == reply(200, 116, decision + '{"request_id": "req-1"}}')


async def test_the_extensions_of_a_router() -> None:
    async with CGateway(mode=Mode.ROUTER) as gateway:
        assert await ask(gateway, request("GET /api/v1/extensions/health")) == reply(200, 14, '{"health": {}}')


@pytest.mark.parametrize(
    ("policy", "provider"),
    [("cheap", "openai:gpt-4o-mini"), ("careful", "anthropic:claude-sonnet"), ("anything", "openai:gpt-4o")],
)
async def test_the_policy_chooses_the_provider(policy: str, provider: str) -> None:
    async with CGateway(mode=Mode.ROUTER) as gateway:
        said = await ask(gateway, decide(body=body(policy_id=policy)))
        assert f'"provider_id": "{provider}"'.encode() in said


def test_only_the_last_decisions_are_remembered() -> None:
    router = Router()
    for number in range(KEPT + 10):
        router.decide({"request_id": "r", "tenant_id": "t", "message": {"message_id": str(number)}})
    assert len(router.decided) == KEPT
    assert "9" not in router.decided
    assert "10" in router.decided
