"""Reuse, the bound, the line of those who wait, and that nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from sidecar.call import What
from sidecar.http1.connect import Connector, Origin
from sidecar.http1.failures import ConnectFailed, PoolFull
from sidecar.http1.pool import Pool, PoolLimits, PoolStats
from tests.kit.caller import PATIENCE
from tests.kit.peer import Listening, Peer, listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.http1.client import ClientConnection

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@contextlib.asynccontextmanager
async def pooling(limits: PoolLimits | None = None) -> AsyncIterator[tuple[Pool, Listening]]:
    async with listening() as upstream:
        pool = Pool(Connector(Origin.parse(upstream.url)), limits or PoolLimits())
        yield pool, upstream
        await pool.aclose()


async def exchange(connection: ClientConnection, peer: Peer) -> None:
    connection.send(GET)
    peer.say(OK)
    assert (await connection.head()).whole == b"hi"
    await peer.request()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_connection_is_used_again() -> None:
    async with pooling() as (pool, upstream):
        assert pool.try_acquire() is None
        first = await pool.acquire(PATIENCE)
        peer = await upstream.accept()
        assert not first.reused
        assert pool.stats() == PoolStats(idle=0, active=1, connecting=0, waiting=0)
        await exchange(first, peer)
        pool.release(first)
        assert pool.stats() == PoolStats(idle=1, active=0, connecting=0, waiting=0)
        second = pool.try_acquire()
        assert second is first
        assert second.reused
        pool.release(second)


async def test_the_one_used_last_is_used_first() -> None:
    async with pooling() as (pool, upstream):
        first, second = await pool.acquire(PATIENCE), await pool.acquire(PATIENCE)
        pool.release(first)
        pool.release(second)
        assert pool.try_acquire() is second
        assert pool.try_acquire() is first
        pool.release(first)
        pool.release(second)
        assert upstream.pending() <= 2


async def test_fresh_is_never_an_idle_one() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, _):
        first = await pool.acquire(PATIENCE)
        pool.release(first)
        second = await pool.acquire(PATIENCE, fresh=True)
        assert second is not first
        assert not second.reused
        assert pool.stats() == PoolStats(idle=0, active=1, connecting=0, waiting=0)
        pool.release(second)


async def test_releasing_twice_does_nothing() -> None:
    async with pooling() as (pool, _):
        connection = await pool.acquire(PATIENCE)
        pool.release(connection)
        pool.release(connection)
        assert pool.stats() == PoolStats(idle=1, active=0, connecting=0, waiting=0)


async def test_an_exchange_that_did_not_end_is_not_reused() -> None:
    async with pooling() as (pool, upstream):
        connection = await pool.acquire(PATIENCE)
        peer = await upstream.accept()
        connection.send(GET)
        pool.release(connection)
        assert pool.stats() == PoolStats(idle=0, active=0, connecting=0, waiting=0)
        assert await peer.request() == GET
        assert await peer.ended()


async def test_a_reply_that_closes_is_not_reused() -> None:
    async with pooling() as (pool, upstream):
        connection = await pool.acquire(PATIENCE)
        peer = await upstream.accept()
        connection.send(GET)
        peer.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await connection.head()
        pool.release(connection)
        assert pool.stats().idle == 0


async def test_an_idle_connection_that_the_upstream_closed_is_forgotten_at_once() -> None:
    async with pooling() as (pool, upstream):
        connection = await pool.acquire(PATIENCE)
        peer = await upstream.accept()
        pool.release(connection)
        peer.end()
        await turns(50)
        assert pool.stats().idle == 0


async def test_a_known_dead_connection_is_not_given_though_the_loop_has_not_seen_its_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = Pool(Connector(Origin.parse(f"http://127.0.0.1:{server.getsockname()[1]}")), PoolLimits())
        pool.release(await pool.acquire(PATIENCE))
        assert pool.stats().idle == 1
        server.accept()[0].close()
        assert pool.try_acquire() is None  # no await in between
        assert pool.stats() == PoolStats(idle=0, active=0, connecting=0, waiting=0)
        await pool.aclose()


async def test_bytes_on_an_idle_connection_close_it() -> None:
    async with pooling() as (pool, upstream):
        connection = await pool.acquire(PATIENCE)
        peer = await upstream.accept()
        pool.release(connection)
        peer.say(OK)
        assert await peer.ended()
        assert pool.stats().idle == 0


async def test_surplus_bytes_never_reach_the_next_reply() -> None:
    async with pooling() as (pool, upstream):
        first = await pool.acquire(PATIENCE)
        peer = await upstream.accept()
        first.send(GET)
        peer.say(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        assert (await first.head()).whole == b"hi"
        pool.release(first)
        second = await pool.acquire(PATIENCE)
        assert second is not first
        await exchange(second, await upstream.accept())
        pool.release(second)


async def test_a_full_pool_serves_who_waits_in_order() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, upstream):
        connection = await pool.acquire(PATIENCE)
        peer = await upstream.accept()
        order: list[str] = []

        async def wait(name: str) -> None:
            mine = await pool.acquire(PATIENCE)
            assert mine is connection
            assert mine.reused
            order.append(name)
            await exchange(mine, peer)
            pool.release(mine)

        waiting = []
        for name in ("a", "b", "c"):
            waiting.append(asyncio.create_task(wait(name)))
            await asyncio.sleep(0)
        assert pool.stats() == PoolStats(idle=0, active=1, connecting=0, waiting=3)
        assert pool.try_acquire() is None
        await exchange(connection, peer)
        pool.release(connection)
        await asyncio.gather(*waiting)
        assert order == ["a", "b", "c"]
        assert pool.stats() == PoolStats(idle=1, active=0, connecting=0, waiting=0)


async def test_who_waits_too_long_is_told_that_the_pool_is_full() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, _):
        connection = await pool.acquire(PATIENCE)
        with pytest.raises(PoolFull, match="all 1 connections are in use") as caught:
            await pool.acquire(0.01)
        assert caught.value.what is What.OVERLOADED
        assert pool.stats() == PoolStats(idle=0, active=1, connecting=0, waiting=0)
        pool.release(connection)


async def test_with_0_seconds_one_waits_and_connects_as_long_as_it_takes() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, _):
        connection = await pool.acquire(0)
        waiting = asyncio.create_task(pool.acquire(0))
        await asyncio.sleep(0)
        assert pool.stats() == PoolStats(idle=0, active=1, connecting=0, waiting=1)
        pool.release(connection)
        pool.release(await waiting)


async def test_a_connection_that_is_closed_leaves_its_place_to_who_waits() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, _):
        first = await pool.acquire(PATIENCE)
        waiting = asyncio.create_task(pool.acquire(PATIENCE))
        await asyncio.sleep(0)
        first.close()
        pool.release(first)
        second = await waiting
        assert second is not first
        assert pool.stats() == PoolStats(idle=0, active=1, connecting=0, waiting=0)
        pool.release(second)


async def test_who_waits_for_a_fresh_one_gets_the_place_of_a_used_one() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, _):
        first = await pool.acquire(PATIENCE)
        waiting = asyncio.create_task(pool.acquire(PATIENCE, fresh=True))
        await asyncio.sleep(0)
        pool.release(first)
        second = await waiting
        assert second is not first
        assert not second.reused
        pool.release(second)


async def test_a_cancelled_wait_gives_its_turn_to_the_next() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, _):
        connection = await pool.acquire(PATIENCE)
        first, second = asyncio.create_task(pool.acquire(PATIENCE)), asyncio.create_task(pool.acquire(PATIENCE))
        await turns()
        first.cancel()
        await turns()
        assert pool.stats().waiting == 1
        pool.release(connection)
        assert await second is connection
        pool.release(connection)


@pytest.mark.parametrize("clean", [True, False])
async def test_a_wait_cancelled_just_when_it_is_served_passes_it_on(clean: bool) -> None:
    async with pooling(PoolLimits(max=1)) as (pool, _):
        connection = await pool.acquire(PATIENCE)
        first, second = asyncio.create_task(pool.acquire(PATIENCE)), asyncio.create_task(pool.acquire(PATIENCE))
        await turns()
        if not clean:
            connection.close()
        pool.release(connection)
        first.cancel()
        served = await second
        assert (served is connection) is clean
        with pytest.raises(asyncio.CancelledError):
            await first
        pool.release(served)
        assert pool.stats().active == 0


async def test_a_cancelled_connect_leaks_nothing() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, _):
        for step in range(6):
            connecting = asyncio.create_task(pool.acquire(PATIENCE))
            await turns(step)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                pool.release(await connecting)
            assert pool.stats().active == pool.stats().connecting == 0


async def test_a_failed_connect_lets_the_next_one_try() -> None:
    async with pooling(PoolLimits(max=1)) as (pool, upstream):
        held = await pool.acquire(PATIENCE)
        upstream.stop()
        waiting = [asyncio.create_task(pool.acquire(PATIENCE)) for _ in range(3)]
        await turns()
        held.close()
        pool.release(held)
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ConnectFailed] * 3
        assert pool.stats() == PoolStats(idle=0, active=0, connecting=0, waiting=0)


async def test_no_more_idle_than_allowed() -> None:
    async with pooling(PoolLimits(idle=1)) as (pool, _):
        first, second = await pool.acquire(PATIENCE), await pool.acquire(PATIENCE)
        pool.release(first)
        pool.release(second)
        assert pool.stats().idle == 1
        assert pool.try_acquire() is second, "the one used last is kept"
        pool.release(second)


async def test_none_is_kept_when_none_may_be_idle() -> None:
    async with pooling(PoolLimits(idle=0)) as (pool, _):
        pool.release(await pool.acquire(PATIENCE))
        assert pool.stats().idle == 0


async def test_any_number_where_max_is_0() -> None:
    async with pooling(PoolLimits(max=0)) as (pool, _):
        held = [await pool.acquire(PATIENCE) for _ in range(20)]
        for connection in held:
            pool.release(connection)
        assert pool.stats().idle == 20


async def test_old_idle_connections_are_reaped_one_after_the_other() -> None:
    async with pooling(PoolLimits(idle_timeout=0.1)) as (pool, upstream):
        first, second = await pool.acquire(PATIENCE), await pool.acquire(PATIENCE)
        peers = [await upstream.accept(), await upstream.accept()]
        loop = asyncio.get_running_loop()
        began = loop.time()
        pool.release(first)
        loop.call_later(0.05, pool.release, second)
        await asyncio.gather(*(peer.ended() for peer in peers))
        assert loop.time() - began >= 0.145
        assert pool.stats().idle == 0


async def test_closing_closes_the_idle_now_and_the_busy_when_they_end() -> None:
    async with listening() as upstream:
        pool = Pool(Connector(Origin.parse(upstream.url)), PoolLimits())
        idle, busy = await pool.acquire(PATIENCE), await pool.acquire(PATIENCE)
        idle_peer, busy_peer = await upstream.accept(), await upstream.accept()
        pool.release(idle)
        await pool.aclose()
        assert await idle_peer.ended()
        await exchange(busy, busy_peer)
        pool.release(busy)
        assert await busy_peer.ended()
        assert pool.stats() == PoolStats(idle=0, active=0, connecting=0, waiting=0)
