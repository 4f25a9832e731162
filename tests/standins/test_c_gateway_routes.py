"""Which answer a request gets when it could get two, and the paths that are nearly right."""

from __future__ import annotations

import pytest

from sidecar.standins.c_gateway_faults import GatewayFault, GatewayKind
from sidecar.standins.c_gateway_limits import Limits
from sidecar.standins.c_gateway_router import Mode
from sidecar.standins.c_gateway_routes import Routes, for_router
from sidecar.standins.c_gateway_wire import parse
from tests.kit.c_gateway import TENANT, body, decide, request

BLOCKS = "/api/v1/registry/blocks/"


def told(routes: Routes, data: bytes, kind: GatewayKind = GatewayKind.NONE, **figures: object) -> tuple[int, str]:
    """Status and the error's message, or the whole body."""
    answer = routes.answer(parse(data), GatewayFault.of({"kind": kind, **figures}))
    text = b"".join(answer.pieces).partition(b"\r\n\r\n")[2].decode()
    return answer.status, text.partition('"message":"')[2].partition('"')[0] or text


def test_authorization_comes_first_but_not_at_the_very_first() -> None:
    routes = Routes(auth_required=True)
    assert told(routes, decide())[0] == 200  # the switch is read with the first question to the limits
    assert told(routes, decide("X-Other: x")) == (401, "missing Authorization header")
    assert told(routes, decide("authorization: x")) == (401, "missing Authorization header")
    assert told(routes, decide("Authorization: x")) == (400, "missing X-Tenant-ID header")
    assert told(routes, decide("Authorization: x", TENANT))[0] == 200
    assert told(routes, request("GET /api/v1/routes/decide/m", TENANT))[0] == 200


def test_then_the_limit_the_body_and_backpressure() -> None:
    routes = Routes(limits=Limits(decide=3))
    kind = GatewayKind.BACKPRESSURE
    assert told(routes, decide(body=""), kind) == (400, "empty request body")
    assert told(routes, decide(body="{"), kind) == (503, "Router is overloaded, please retry later")
    assert told(routes, decide(body="{")) == (400, "invalid decide request DTO")
    assert told(routes, decide(body=""), kind)[0] == 429


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        (f"POST {BLOCKS}http", 400, "missing version segment"),
        (f"POST {BLOCKS}http/", 400, "empty version"),
        (f"GET {BLOCKS}http/1.0", 404, "route not found"),
        ("GET /api/v1/routes/decide/", 400, "missing message_id path parameter"),
        ("DELETE /api/v1/messages/", 400, "missing message_id"),
        ("DELETE /api/v1/messages", 404, "route not found"),
        ("PUT /api/v1/messages/m", 400, "empty body"),
        ("DELETE /api/v1/messages/" + "m" * 250, 400, "bad message_id"),
        ("GET /api/v1/messages/stream?tenant_id=", 400, "missing tenant_id"),
        ("GET /api/v1/messages/stream?a&b=tenant_id", 400, "missing tenant_id"),
        ("GET /api/v1/policies/complexity", 404, "endpoint not found"),
        ("GET /api/v1/policies/t/complexity", 400, "missing tenant_id or policy_id"),
        ("GET /api/v1/policies//p/complexity", 400, "missing tenant_id or policy_id"),
        ("GET /api/v1/policies/dry-run", 404, "endpoint not found"),
        ("POST /api/v1/policies/t/p/complexity", 404, "route not found"),
        ("POST /api/v1/extensions/health", 404, "route not found"),
        ("post /api/v1/routes/decide", 404, "route not found"),
        ("POST /api/v1/routes/decide/", 404, "route not found"),
    ],
)
def test_a_path_that_is_nearly_right(line: str, status: int, message: str) -> None:
    assert told(Routes(), request(line, TENANT)) == (status, message)


def test_a_message_must_be_an_object_of_a_tenants() -> None:
    line = "PUT /api/v1/messages/m"
    assert told(Routes(), request(line, body="{}")) == (400, "missing X-Tenant-ID header")
    assert told(Routes(), request(line, TENANT, body="[]")) == (400, "invalid JSON")


def test_a_long_id_is_deleted_without_an_event() -> None:
    line = "DELETE /api/v1/messages/" + "m" * 200
    answer = Routes().answer(parse(request(line, TENANT)))
    assert (answer.status, answer.event) == (200, None)


def test_a_stream_is_its_tenants_first_63_bytes() -> None:
    answer = Routes().answer(parse(request("GET /api/v1/messages/streams?x&tenant_id=" + "t" * 70)))
    assert answer.streams == b"t" * 63


@pytest.mark.parametrize("kind", [GatewayKind.UNAVAILABLE, GatewayKind.TIMEOUT])
@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("POST /api/v1/messages", "unavailable", "router or NATS unavailable"),
        ("GET /api/v1/routes/decide/m", "internal", "router or NATS unavailable"),
        ("GET /api/v1/extensions/health", "SERVICE_UNAVAILABLE", "Router or NATS unavailable"),
        ("GET /api/v1/extensions/circuit-breakers", "SERVICE_UNAVAILABLE", "Router or NATS unavailable"),
        ("POST /api/v1/policies/dry-run", "SERVICE_UNAVAILABLE", "Router or NATS unavailable"),
        ("GET /api/v1/policies/t/p/complexity", "SERVICE_UNAVAILABLE", "Router or NATS unavailable"),
    ],
)
def test_a_router_that_is_away_is_503_in_three_words(kind: GatewayKind, line: str, code: str, message: str) -> None:
    asked = parse(request(line, TENANT, body=body()))
    answer = Routes(mode=Mode.ROUTER).answer(asked, GatewayFault(kind, delay=3))
    assert for_router(asked)
    assert answer.status == 503
    assert f'"code":"{code}","message":"{message}"' in answer.pieces[1].decode()
    assert answer.delay == (3 if kind is GatewayKind.TIMEOUT else 0)


def test_only_what_is_asked_of_the_router_is_slow() -> None:
    routes = Routes()
    slow = GatewayFault(GatewayKind.SLOW, delay=3)
    assert routes.answer(parse(decide()), slow).delay == 3
    assert routes.answer(parse(decide(body="{")), slow).delay == 0


def test_an_error_that_is_only_read_past_is_200() -> None:
    kind, code = GatewayKind.ROUTER_ERROR, "internal"
    asked = {"breakers": "GET /api/v1/extensions/circuit-breakers", "complexity": "GET /api/v1/policies/t/p/complexity"}
    statuses = {name: told(Routes(), request(line), kind, code=code)[0] for name, line in asked.items()}
    assert statuses == {"breakers": 200, "complexity": 500}


@pytest.mark.parametrize("line", ["GET /health", "GET /_metrics", "PUT /api/v1/messages/m", "GET /nope"])
def test_what_the_gateway_does_by_itself_meets_no_fault(line: str) -> None:
    assert not for_router(parse(request(line)))
