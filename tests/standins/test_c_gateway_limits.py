"""A fixed window that is everybody's, and a 429 that always tells the whole of it."""

from __future__ import annotations

import pytest

from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_limits import Group, Limits, Windows
from tests.kit.c_gateway import TENANT, ask, body, decide, request
from tests.kit.clock import Clock

START = 1_795_241_560.2


def full(tenant: str, length: int, reset: int, trace: str = "") -> bytes:
    """One write, and nothing says that it closes."""
    return (
        f"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        f"X-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: {reset}\r\nRetry-After: 60\r\n\r\n"
        '{"ok":false,"error":{"code":"rate_limit_exceeded",'
        '"message":"Rate limit exceeded for endpoint /api/v1/routes/decide","intake_error_code":null,'
        '"details":{"endpoint":"/api/v1/routes/decide","limit":5,"retry_after_seconds":60}},'
        f'"context":{{"request_id":"","trace_id":"{trace}","tenant_id":"{tenant}"}}}}'
    ).encode()


async def test_the_bytes_of_a_429() -> None:
    clock = Clock(START)
    async with CGateway(limits=Limits(decide=5), clock=clock) as gateway:
        for _ in range(5):
            assert b"200 OK" in await ask(gateway, decide())
        said = await ask(gateway, decide(TENANT, "X-Trace-ID: trace-9"))
        assert said == full("demo-tenant", 300, 1_795_241_620, "trace-9")
        clock.advance(2)
        assert await ask(gateway, decide()) == full("demo-tenant", 293, 1_795_241_622)
        assert await ask(gateway, decide("X-Tenant-ID: other-tenant")) == full("other-tenant", 294, 1_795_241_622)
        assert b"200 OK" in await ask(gateway, request("GET /health"))
        clock.advance(58)
        assert b"200 OK" in await ask(gateway, decide())


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ("POST /api/v1/messages", Group.MESSAGES),
        ("PUT /api/v1/messages/m", Group.MESSAGES),
        ("DELETE /api/v1/messages/m", Group.MESSAGES),
        ("GET /api/v1/routes/decide/m", Group.DECIDE),
        ("PUT /api/v1/registry/blocks/a/1", Group.REGISTRY),
    ],
)
async def test_each_group_has_its_own_number_and_name(line: str, group: Group) -> None:
    async with CGateway(limits=Limits(decide=1, messages=1, registry=1)) as gateway:
        await ask(gateway, request(line, TENANT, body=body()))
        said = await ask(gateway, request(line, TENANT, body=body()))
        assert said.startswith(b"HTTP/1.1 429 ")
        assert b'"endpoint":"%b"' % group.endpoint in said
        counters = gateway.counters["exceeded"]
        assert counters == {one: int(one is group) for one in Group}


@pytest.mark.parametrize(
    ("asked", "costs"),
    [
        (decide("X-Other: x"), 0),
        (decide(body=""), 1),
        (decide(body="{"), 1),
        (request("GET /api/v1/routes/decide/m"), 1),
        (request("PUT /api/v1/messages/m", body="{}"), 0),
    ],
)
async def test_a_refusal_may_cost_a_place(asked: bytes, costs: int) -> None:
    async with CGateway() as gateway:
        assert b"400 Bad Request" in await ask(gateway, asked)
        assert gateway.counters["allowed"] == costs


def test_all_groups_begin_anew_together() -> None:
    clock = Clock(100.9)
    windows = Windows(Limits(decide=1, messages=1, window=10), clock)
    assert [windows.take(Group.DECIDE), windows.take(Group.DECIDE)] == [True, False]
    clock.advance(9)  # 109.9: whole seconds count
    assert [windows.take(Group.DECIDE), windows.take(Group.MESSAGES)] == [False, True]
    clock.advance(0.1)
    assert [windows.take(Group.DECIDE), windows.take(Group.MESSAGES)] == [True, True]
