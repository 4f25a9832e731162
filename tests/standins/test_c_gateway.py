"""One thread, one read, one connection at a time, and SIGPIPE: what callers can do to the gateway and to each other."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from tests.kit.c_gateway import TENANT, ask, body, connected, decide, request, reset, rest, until
from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

HEALTH = request("GET /health")
EMPTY = b'"message":"empty request body"'
NO_DTO = b'"message":"invalid decide request DTO"'
STREAM = request("GET /api/v1/messages/stream?tenant_id=demo-tenant")
CONNECTED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nConnection: keep-alive\r\n"
    b"Access-Control-Allow-Origin: *\r\n\r\n: connected\n\n"
)
PUT = request("PUT /api/v1/messages/m1", TENANT, body='{"text":"x"}')


def slow(seconds: float = 0.05) -> GatewayFault:
    """Every decide takes so long."""
    return GatewayFault(GatewayKind.SLOW, delay=seconds)


async def send(connection: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(connection, data)


async def read(connection: socket.socket, size: int) -> bytes:
    """Exactly so many bytes."""
    seen = b""
    async with asyncio.timeout(PATIENCE):
        while len(seen) < size:
            piece = await asyncio.get_running_loop().sock_recv(connection, size - len(seen))
            assert piece, seen
            seen += piece
    return seen


# One read


@pytest.mark.parametrize(("cut_at", "told"), [(-len(body()), EMPTY), (-1, NO_DTO), (-len(body()) + 40, NO_DTO)])
async def test_what_comes_after_the_first_read_does_not_exist(cut_at: int, told: bytes) -> None:
    data = decide()
    async with CGateway() as gateway, connected(gateway) as caller:
        await send(caller, data[:cut_at])
        await until(lambda: gateway.requests == 1)
        with suppress(ConnectionError):  # it has closed
            await send(caller, data[cut_at:])
        assert told in await rest(caller)
        assert b"200 OK" in await ask(gateway, HEALTH)


async def test_more_than_one_read_is_refused_and_reset() -> None:
    async with CGateway() as gateway:
        said = await ask(gateway, decide(body=body(payload={"text": "x" * 140_000})))
        assert len(gateway.calls[0].raw) <= 65_535
        assert said == b"RST" or (said.startswith(b"HTTP/1.1 400 ") and said.endswith(b"RST"))


async def test_who_connects_and_leaves_does_no_harm() -> None:
    async with CGateway() as gateway:
        async with connected(gateway):
            pass
        async with connected(gateway) as caller:
            reset(caller)
        assert b"200 OK" in await ask(gateway, HEALTH)
        assert gateway.requests == 1


# One connection at a time


async def test_who_connects_and_is_silent_stops_it_for_all() -> None:
    async with CGateway() as gateway, connected(gateway) as silent:
        waiting = asyncio.create_task(ask(gateway, HEALTH))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.shield(waiting)
        silent.close()
        assert b"200 OK" in await waiting
        assert gateway.most_at_once == 2


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
async def test_who_left_before_its_turn_is_not_there_together_with_the_next(
    leave: Callable[[socket.socket], None],
) -> None:
    async with CGateway() as gateway:
        with socket.create_connection((gateway.host, gateway.port)) as silent:
            leave(silent)
        with socket.create_connection((gateway.host, gateway.port)) as caller:
            caller.sendall(HEALTH)
            caller.setblocking(False)
            assert b"200 OK" in await rest(caller)
        assert gateway.most_at_once == 1


async def test_slow_decides_are_served_one_after_the_other_and_health_behind_them() -> None:
    clock = asyncio.get_running_loop().time
    async with CGateway(fault=slow(0.05)) as gateway:
        began = clock()
        answers = await asyncio.gather(*(ask(gateway, data) for data in (decide(), decide(), decide(), HEALTH)))
        assert clock() - began >= 0.14  # three times, less what a clock may round
        assert all(b"200 OK" in answer for answer in answers)
        assert gateway.most_at_once == 4


async def test_calls_one_after_the_other_are_never_two_at_once() -> None:
    async with CGateway() as gateway:
        for _ in range(20):
            await ask(gateway, HEALTH)
        assert gateway.most_at_once == 1


# SIGPIPE


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
async def test_a_caller_that_leaves_before_its_answer_kills_it(leave: Callable[[socket.socket], None]) -> None:
    said: list[str] = []
    async with CGateway(fault=slow(), say=said.append) as gateway:
        async with connected(gateway) as caller, connected(gateway) as waiting:
            await send(caller, decide())
            await until(lambda: gateway.requests == 1)
            leave(caller)
            async with asyncio.timeout(PATIENCE):
                await gateway.death.wait()
            assert gateway.died
            assert await rest(waiting) in {b"", b"RST"}
        with pytest.raises(ConnectionRefusedError):
            await ask(gateway, HEALTH)
        assert said == [f"c-gateway {gateway.url} died of SIGPIPE: a caller closed before its answer came"]


async def test_revived_it_is_a_new_process_on_the_same_port() -> None:
    async with CGateway(fault=slow(0.01), say=lambda _: None) as gateway:
        port = gateway.port
        async with connected(gateway) as caller:
            await send(caller, decide())
            await until(lambda: gateway.requests == 1)
        await gateway.death.wait()
        await gateway.switch(WELL)
        with pytest.raises(ConnectionRefusedError):  # a fault that ends does not raise the dead
            await ask(gateway, HEALTH)
        await gateway.revive()
        assert (gateway.died, gateway.deaths, gateway.port) == (False, 1, port)
        assert b"200 OK" in await ask(gateway, HEALTH)
        assert gateway.counters["requests"] == 1
        assert gateway.requests == 2


async def test_a_caller_that_closes_its_own_half_only_is_answered() -> None:
    async with CGateway(fault=slow(0.01)) as gateway, connected(gateway) as caller:
        await send(caller, decide())
        caller.shutdown(socket.SHUT_WR)
        assert b"200 OK" in await rest(caller)
        assert not gateway.died


async def test_a_429_is_one_write_and_kills_nobody() -> None:
    async with CGateway(fault=GatewayFault(GatewayKind.RATE_LIMITED)) as gateway:
        async with connected(gateway) as silent, connected(gateway) as caller:
            await send(caller, decide())
            caller.close()
            silent.close()
            await until(lambda: gateway.requests == 1)
        assert b"200 OK" in await ask(gateway, HEALTH)
        assert not gateway.died


async def test_an_immortal_one_goes_on() -> None:
    async with CGateway(fault=slow(0.01), dies_on_early_close=False) as gateway:
        async with connected(gateway) as caller:
            await send(caller, decide())
            await until(lambda: gateway.requests == 1)
        assert b"200 OK" in await ask(gateway, HEALTH)
        assert not gateway.died


# Streams


async def test_a_stream_hears_what_happens_to_its_tenants_messages() -> None:
    events = (
        b'event: message_updated\ndata: {"text":"x"}\n\n'
        b'event: message_deleted\ndata: {"message_id":"m1"}\n\n'
        b'event: message_created\ndata: {"message_id":"dummy",'
    )
    async with CGateway() as gateway, connected(gateway) as stream:
        await send(stream, STREAM)
        assert await read(stream, len(CONNECTED)) == CONNECTED
        await ask(gateway, PUT)
        await ask(gateway, PUT.replace(b"demo-tenant", b"other"))
        await ask(gateway, request("DELETE /api/v1/messages/m1", TENANT))
        await ask(gateway, request("GET /api/v1/routes/decide/m1", TENANT))
        assert await read(stream, len(events)) == events


async def test_a_stream_that_has_left_kills_it_at_the_next_event() -> None:
    async with CGateway(say=lambda _: None) as gateway:
        async with connected(gateway) as stream:
            await send(stream, STREAM)
            await read(stream, len(CONNECTED))
        assert b"200 OK" in await ask(gateway, PUT)
        async with asyncio.timeout(PATIENCE):
            await gateway.death.wait()


async def test_a_stream_that_was_reset_is_only_dropped() -> None:
    async with CGateway() as gateway:
        async with connected(gateway) as stream:
            await send(stream, STREAM)
            await read(stream, len(CONNECTED))
            reset(stream)
        await ask(gateway, PUT)
        await ask(gateway, PUT)
        assert not gateway.died


async def test_the_65th_stream_is_one_too_many() -> None:
    async with CGateway() as gateway, AsyncExitStack() as streams:
        for _ in range(64):
            stream = await streams.enter_async_context(connected(gateway))
            await send(stream, STREAM)
            await read(stream, len(CONNECTED))
        assert await ask(gateway, STREAM) == CONNECTED + b":pool_full\n\n"


# Faults of the connection


@pytest.mark.parametrize(
    ("kind", "starts", "ends"),
    [
        (GatewayKind.RESET, b"RST", b"RST"),
        (GatewayKind.CLOSE, b"", b""),
        (GatewayKind.SHORT, b"HTTP/1.1 200 OK\r\n", b'"priority":1,"expe'),
        (GatewayKind.RESET_BODY, b"HTTP/1.1 200 OK\r\n", b'"priority":1,"expeRST'),
    ],
)
async def test_an_answer_that_does_not_come_whole(kind: GatewayKind, starts: bytes, ends: bytes) -> None:
    async with CGateway(fault=GatewayFault(kind)) as gateway:
        said = await ask(gateway, decide())
        assert said.startswith(starts)
        assert said.endswith(ends)
        assert b"200 OK" in await ask(gateway, HEALTH)
        assert (gateway.requests, gateway.faulty) == (2, 1)


async def test_dead_nobody_listens_and_who_waited_is_gone() -> None:
    async with CGateway() as gateway, connected(gateway) as silent, connected(gateway) as waiting:
        await send(waiting, HEALTH)
        await gateway.switch(GatewayFault(GatewayKind.DEAD))
        assert await rest(silent) in {b"", b"RST"}
        assert await rest(waiting) in {b"", b"RST"}
        with pytest.raises(ConnectionRefusedError):
            await ask(gateway, HEALTH)
        await gateway.switch(WELL)
        assert b"200 OK" in await ask(gateway, HEALTH)


async def test_a_fault_that_lasts_ends_by_itself() -> None:
    async with CGateway(fault=GatewayFault(GatewayKind.DEAD, lasts=0.01)) as gateway:
        with pytest.raises(ConnectionRefusedError):
            await ask(gateway, HEALTH)
        await until(lambda: gateway.fault == WELL)
        assert b"200 OK" in await ask(gateway, HEALTH)


async def test_a_share_of_the_decides_meets_it_and_nothing_else_counts() -> None:
    async with CGateway(fault=GatewayFault(GatewayKind.FALSE_EMPTY, share=0.5)) as gateway:
        said = []
        for _ in range(4):
            said.append(EMPTY in await ask(gateway, decide()))
            await ask(gateway, HEALTH)
        assert said == [False, True, False, True]


async def test_its_own_bugs_are_not_kept_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = CGateway()
    await gateway.start()
    monkeypatch.setattr(gateway, "_met", lambda _: 1 / 0)
    assert await ask(gateway, HEALTH) == b""
    with pytest.raises(ZeroDivisionError):
        await gateway.stop()
