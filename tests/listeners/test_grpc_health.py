"""Health over gRPC: of the sidecar under the empty name, of services behind it under theirs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sidecar.listeners.grpc_health import Health, HealthHandler
from tests.kit.caller import PATIENCE
from tests.kit.rpc import channel_to, echo, hang, routed, rpc_service
from tests.kit.rpc_caller import opened, relayed, told
from tests.kit.running import running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

LONG_DRAIN = '[limits]\nlinger = "50ms"\ndrain = "10m"'
"""Longer than any test waits: what ends a drain before is what the test is about."""


def asks(service: str = "") -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


def stub(channel: Any) -> Any:
    untyped: Any = health_pb2_grpc.HealthStub
    return untyped(channel)


@asynccontextmanager
async def healthy_service() -> AsyncIterator[tuple[str, Any]]:
    """A server with a health service of its own: its address, and what it tells."""
    servicer: Any = health.aio.HealthServicer()
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"grpc://127.0.0.1:{port}", servicer
    await server.stop(None)


async def test_the_sidecar_itself() -> None:
    async with relayed(echo) as on:
        mine = stub(on.channel)
        assert (await mine.Check(asks())).status == SERVING
        nothing: Any = health_pb2
        listed = await mine.List(nothing.HealthListRequest())
        assert {name: each.status for name, each in listed.statuses.items()} == {"": SERVING}
        watching = mine.Watch(asks())
        assert (await watching.read()).status == SERVING
        watching.cancel()
        assert on.service.seen == []


async def test_a_service_by_its_name_is_asked_itself() -> None:
    async with healthy_service() as (url, servicer):
        await servicer.set("shop.Orders", NOT_SERVING)
        async with running(routed(url, pattern="shop.*")) as sidecar, channel_to(sidecar) as channel:
            mine = stub(channel)
            call = mine.Check(asks("shop.Orders"), metadata=(("x-request-id", "asked"),))
            assert (await call).status == NOT_SERVING
            assert (await sidecar.log.call("asked"))["path"] == "/grpc.health.v1.Health/Check"  # not as it was routed
            assert ("x-sidecar-upstream", "a") in tuple(await call.initial_metadata())
            with pytest.raises(grpc.aio.AioRpcError) as unknown:  # its own word
                await mine.Check(asks("shop.Other"))
            assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
            assert ("x-sidecar-upstream", "a") in tuple(unknown.value.trailing_metadata())
            watching = mine.Watch(asks("shop.Orders"))
            assert (await watching.read()).status == NOT_SERVING
            await servicer.set("shop.Orders", SERVING)
            assert (await watching.read()).status == SERVING
            watching.cancel()


async def test_a_service_to_which_no_route_leads() -> None:
    async with relayed(echo, pattern="shop.*") as on:
        mine = stub(on.channel)
        with pytest.raises(grpc.aio.AioRpcError, match=r"no route leads to bank\.Accounts") as unknown:
            await mine.Check(asks("bank.Accounts"))
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        watching = mine.Watch(asks("bank.Accounts"))
        assert (await watching.read()).status == SERVICE_UNKNOWN
        watching.cancel()
        assert on.service.seen == []


async def test_a_route_that_names_one_method_leads_to_its_service() -> None:
    async with healthy_service() as (url, servicer):
        await servicer.set("shop.Orders", SERVING)
        async with running(routed(url, pattern="shop.Orders/Place")) as sidecar, channel_to(sidecar) as channel:
            assert (await stub(channel).Check(asks("shop.Orders"))).status == SERVING


@pytest.mark.parametrize("method", ["Check", "Watch"])
async def test_what_is_no_question(method: str) -> None:
    async with relayed(echo) as on:
        rpc = opened(on.channel, f"/grpc.health.v1.Health/{method}")
        await rpc.write(b"\xff\xff")
        await rpc.done_writing()
        answer = await told(rpc)
        assert (answer.code, answer.text) == ("INTERNAL", "this is no HealthCheckRequest")


async def test_another_method_of_health_goes_its_way() -> None:
    async with relayed(echo) as on:
        rpc = opened(on.channel, "/grpc.health.v1.Health/Ponder")
        await rpc.write(b"m")
        await rpc.done_writing()
        assert (await told(rpc)).short == ("OK", [b"m"])


async def test_a_drain_is_told_at_once_to_those_who_watch_and_holds_up_nothing() -> None:
    async with relayed(echo, pattern="shop.*", more=LONG_DRAIN) as on:
        watching, elsewhere = stub(on.channel).Watch(asks()), stub(on.channel).Watch(asks("bank.Accounts"))
        assert (await watching.read()).status == SERVING
        assert (await elsewhere.read()).status == SERVICE_UNKNOWN
        on.sidecar.daemon.stop()
        async with asyncio.timeout(PATIENCE):
            ending = asyncio.create_task(on.sidecar.daemon.run())
            assert (await watching.read()).status == NOT_SERVING
            assert await watching.read() is grpc.aio.EOF
            await ending


async def test_while_a_call_goes_on_the_drain_is_told_to_who_asks() -> None:
    """As long as callers may still come, they hear that they had better not."""
    policy = routed("grpc://127.0.0.1:1", more=LONG_DRAIN)
    async with rpc_service(hang) as service:
        policy = policy.replace("grpc://127.0.0.1:1", service.url)
        async with running(policy, on_terminal=False) as sidecar, channel_to(sidecar) as channel:
            rpc = opened(channel)
            await rpc.write(b"1")
            await service.call()
            watching = stub(channel).Watch(asks())
            assert (await watching.read()).status == SERVING
            sidecar.daemon.stop()
            ending = asyncio.create_task(sidecar.daemon.run())
            assert (await watching.read()).status == NOT_SERVING
            assert (await stub(channel).Check(asks())).status == NOT_SERVING
            rpc.cancel()
            await ending


class Slow:
    """A caller that takes its time for each status."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.takes = asyncio.Event()

    async def write(self, message: bytes) -> None:
        await self.takes.wait()
        self.told.append(health_pb2.HealthCheckResponse.FromString(message).status)


async def test_a_change_while_the_last_one_is_written_is_not_missed() -> None:
    mine, caller = Health(), Slow()
    nobody: Any = None
    handler: Any = HealthHandler(mine, nobody, lambda _: b"")
    watching = asyncio.create_task(handler._watch(asks().SerializeToString(), caller))
    await asyncio.sleep(0)
    mine.serving = False
    caller.takes.set()
    await until(lambda: len(caller.told) == 2)
    mine.end()
    await watching
    assert caller.told == [SERVING, NOT_SERVING]


async def test_a_change_right_before_the_end_is_told() -> None:
    mine, caller = Health(), Slow()
    nobody: Any = None
    handler: Any = HealthHandler(mine, nobody, lambda _: b"")
    caller.takes.set()
    watching = asyncio.create_task(handler._watch(asks().SerializeToString(), caller))
    await until(lambda: caller.told == [SERVING])
    mine.serving = False
    mine.end()
    await watching
    assert caller.told == [SERVING, NOT_SERVING]
