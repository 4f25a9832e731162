"""A whole sidecar before a gateway that dies of callers who leave: it must not."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_faults import GatewayFault, GatewayKind
from tests.kit.caller import PATIENCE
from tests.kit.refused import refusal
from tests.kit.running import Running, one, request, running, until

pytestmark = pytest.mark.both_loops

KEYS = 'protocol = "c-gateway"\nconcurrency = { queue = 200, max_wait = "9s" }'
BODY = json.dumps(
    {"version": "1", "tenant_id": "t", "request_id": "r", "task": {"type": "text.generate", "payload": {"text": "hi"}}}
).encode()
SLOW = GatewayFault(GatewayKind.SLOW, delay=0.02)


def a_gateway(fault: GatewayFault = SLOW) -> CGateway:
    return CGateway(fault=fault, say=lambda _: None)


def decide(*fields: str) -> bytes:
    return request("/api/v1/routes/decide", "x-tenant-id: t", *fields, method="POST", body=BODY)


async def idle(sidecar: Running) -> None:
    """Every connection to the gateway has ended."""
    (pool,) = sidecar.runtime.services()["a"].pools
    await until(lambda: pool.stats().active + pool.stats().connecting == 0)


async def leaves(sidecar: Running, after: float) -> None:
    caller = await sidecar.caller()
    caller.send(decide())
    await asyncio.sleep(after)
    caller.writer.transport.abort()


async def test_callers_that_leave_at_any_moment_do_not_kill_it() -> None:
    moments = random.Random(7)
    async with a_gateway() as server, running(one(server.url, upstream=KEYS)) as sidecar:
        async with asyncio.TaskGroup() as callers:
            for _ in range(40):
                callers.create_task(leaves(sidecar, moments.uniform(0, 0.3)))
        caller = await sidecar.caller()
        caller.send(decide())
        assert (await caller.answer()).status == 200
        await idle(sidecar)
        assert (server.deaths, server.most_at_once) == (0, 1)


async def test_deadlines_that_pass_do_not_kill_it() -> None:
    async with a_gateway() as server, running(one(server.url, upstream=KEYS)) as sidecar:
        for milliseconds in (1, 5, 10, 15, 19):
            caller = await sidecar.caller()
            caller.send(decide(f"X-Sidecar-Timeout: {milliseconds}ms"))
            assert refusal(await caller.answer())[0] in (503, 504)
        await idle(sidecar)
        assert (server.deaths, server.most_at_once) == (0, 1)


async def test_a_head_and_a_body_that_come_apart_reach_it_as_one() -> None:
    async with a_gateway(GatewayFault()) as server, running(one(server.url, upstream=KEYS)) as sidecar:
        caller = await sidecar.caller()
        whole = decide("Expect: 100-continue")
        caller.send(whole[: -len(BODY)])
        await caller.exactly(b"HTTP/1.1 100 Continue\r\n\r\n")
        for byte in range(0, len(BODY), 10):
            caller.send(BODY[byte : byte + 10])
            await caller.writer.drain()
        answer = await caller.answer()
        assert (answer.status, server.requests) == (200, 1)


async def test_what_it_cannot_read_is_told_without_asking_it() -> None:
    async with a_gateway() as server, running(one(server.url, upstream=KEYS)) as sidecar:
        answer = await sidecar.ask("/api/v1/routes/decide", method="POST", body=b"x" * 65_536)
        assert refusal(answer) == (413, "body_too_large")
        assert server.requests == 0
        assert sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0


async def test_checks_that_are_late_do_not_kill_it() -> None:
    keys = KEYS + '\nhealth = { path = "/_health", interval = "5ms", timeout = "5ms" }'
    async with a_gateway() as server, running(one(server.url, upstream=keys)) as sidecar:
        for _ in range(5):
            async with asyncio.timeout(PATIENCE):
                await leaves(sidecar, 0.01)
        await idle(sidecar)
        assert server.deaths == 0


async def test_two_that_come_at_once_are_served_one_after_the_other() -> None:
    async with a_gateway() as server, running(one(server.url, upstream=KEYS)) as sidecar:
        callers = [await sidecar.caller() for _ in range(4)]
        for caller in callers:
            caller.send(decide())
        assert [(await caller.answer()).status for caller in callers] == [200] * 4
        assert (server.requests, server.most_at_once) == (4, 1)
