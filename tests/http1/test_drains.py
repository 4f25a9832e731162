"""A reply that nobody waits for: read to its end, kept by nobody, and given up after a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.http1.drains import Drains
from tests.kit.caller import PATIENCE
from tests.kit.peer import listening

if TYPE_CHECKING:
    from sidecar.http1.client import ClientConnection

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


async def given_up(connection: ClientConnection) -> None:
    """Someone waits for the head, and does not any more."""
    waiting = asyncio.create_task(connection.head())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])


async def over(drains: Drains, connection: ClientConnection) -> asyncio.Event:
    ended = asyncio.Event()

    def once() -> None:
        assert not ended.is_set()
        ended.set()

    drains.take(connection, once)
    return ended


@pytest.mark.parametrize(
    ("said", "closes", "complete"),
    [
        ([OK], False, True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"ab", b"cd"], False, True),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n", OK], False, True),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n", b"ab\r\n", b"0\r\n\r\n"], False, True),
        ([b"HTTP/1.1 200 OK\r\n\r\nab", b"cd"], True, True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"ab"], True, False),
        ([b"HTTP/1.1 2"], True, False),
        ([b"nonsense\r\n\r\n"], False, False),
    ],
)
async def test_it_ends_with_the_reply(said: list[bytes], closes: bool, complete: bool) -> None:
    drains, told = Drains(), []
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET, interim=lambda status, _: told.append(status))
        await peer.request()
        await given_up(connection)
        ended = await over(drains, connection)
        for data in said:
            assert not ended.is_set()
            peer.say(data)
            await peer.writer.drain()
            await asyncio.sleep(0.002)
        if closes:
            assert not ended.is_set()
            peer.end()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        assert (connection.complete, connection.reusable, len(drains)) == (complete, complete and not closes, 0)
        assert told == []
        connection.close()


async def test_a_reply_that_had_begun_to_be_read_goes_on_from_there_and_nothing_of_it_is_kept() -> None:
    size = 8 * 1024 * 1024
    drains = Drains()
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET, idle=5)
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        assert (await connection.head()).length == size
        reading = asyncio.create_task(connection.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        ended = await over(drains, connection)
        most = 0
        for _ in range(size // 65_536):
            peer.say(b"x" * 65_536)
            await peer.writer.drain()
            most = max(most, connection.buffered)
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        assert connection.reusable
        assert most <= 512 * 1024
        connection.close()


async def test_the_idle_time_of_the_call_does_not_count() -> None:
    drains = Drains()
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET, idle=0.03)
        await peer.request()
        peer.say(OK[:-1])
        await connection.head()
        await connection.read()
        reading = asyncio.create_task(connection.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        ended = await over(drains, connection)
        await asyncio.sleep(0.06)
        assert not ended.is_set()
        peer.say(OK[-1:])
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        assert connection.reusable
        connection.close()


async def test_a_reply_without_end_is_given_up() -> None:
    drains = Drains(seconds=0.02)
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        await peer.request()
        ended = await over(drains, connection)
        assert await peer.ended()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        assert not connection.reusable


async def test_all_are_cut_when_there_is_no_time_left() -> None:
    drains = Drains()
    async with listening() as upstream:
        pairs = [await upstream.pair() for _ in range(3)]
        ends = []
        for connection, peer in pairs:
            connection.send(GET)
            await peer.request()
            ends.append(await over(drains, connection))
        drains.cut()
        async with asyncio.timeout(PATIENCE):
            for ended, (_, peer) in zip(ends, pairs, strict=True):
                await ended.wait()
                assert await peer.ended()
        assert len(drains) == 0
