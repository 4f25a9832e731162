"""Requests: whole, streamed, expecting, upgrading; and the flow of bytes both ways."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from sidecar.http1.failures import ConnectionDied, ReplyStalled
from tests.kit.peer import Peer, listening

if TYPE_CHECKING:
    from sidecar.call import Headers
    from sidecar.http1.client import ClientConnection

pytestmark = pytest.mark.both_loops

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
MIB = 1 << 20


async def test_a_streamed_body_with_a_length() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 6\r\n\r\nab", length=4)
        assert await peer.request() == b"PUT / HTTP/1.1\r\nContent-Length: 6\r\n\r\n"
        connection.write_body(b"cd")
        connection.write_body(b"ef")
        connection.end_body()
        assert await peer.receive(6) == b"abcdef"
        peer.say(OK)
        assert (await connection.head()).whole == b"hi"
        assert connection.reusable
        connection.close()


async def test_a_streamed_body_in_chunks_with_trailers() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", length=None)
        for piece in (b"abc", b"", b"x" * 17):
            connection.write_body(piece)
        connection.end_body([(b"X-Sum", b"7")])
        connection.end_body()
        await peer.request()
        expected = b"3\r\nabc\r\n11\r\n" + b"x" * 17 + b"\r\n0\r\nX-Sum: 7\r\n\r\n"
        assert await peer.receive(len(expected)) == expected
        peer.say(OK)
        assert (await connection.head()).whole == b"hi"
        assert connection.reusable
        connection.close()


async def test_more_body_than_announced_is_never_sent() -> None:
    async with listening() as upstream:
        connection, _ = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", length=3)
        connection.write_body(b"ab")
        with pytest.raises(ValueError, match="2 body bytes where 1"):
            connection.write_body(b"cd")
        connection.close()


async def test_a_body_that_ends_short_closes_the_connection() -> None:
    async with listening() as upstream:
        connection, _ = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", length=3)
        connection.write_body(b"ab")
        connection.end_body()
        with pytest.raises(ConnectionDied):
            await connection.head()


async def test_a_reply_may_come_before_the_body_is_sent() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", length=3)
        await peer.request()
        peer.say(OK)
        assert (await connection.head()).whole == b"hi"
        assert connection.reusable is False, "the upstream still waits for three bytes"
        connection.write_body(b"abc")
        connection.end_body()
        assert (connection.complete, connection.reusable) == (True, True)
        connection.close()


async def test_100_says_that_the_body_may_come() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", length=3)
        await peer.request()
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await connection.continued_within(30)
        assert await connection.continued_within(30), "it was said, and stays so"
        connection.write_body(b"abc")
        connection.end_body()
        assert await peer.receive(3) == b"abc"
        peer.say(OK)
        assert (await connection.head()).status == 200
        connection.close()


async def test_a_final_reply_instead_of_100_says_that_it_must_not() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", length=3)
        asyncio.get_running_loop().call_soon(peer.say, b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        assert not await connection.continued_within(30)
        assert (await connection.head()).status == 417
        assert not connection.reusable
        connection.close()


async def test_a_connection_that_ends_instead_of_100_says_that_it_must_not() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", length=3)
        peer.end()
        assert not await connection.continued_within(30)
        with pytest.raises(ConnectionDied):
            await connection.head()


async def test_an_upstream_that_never_says_100_gets_the_body_in_the_end() -> None:
    async with listening() as upstream:
        connection, _ = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", length=3)
        assert await connection.continued_within(0.01)
        connection.close()


async def test_interim_replies_are_told_and_never_the_reply() -> None:
    told: list[tuple[int, Headers]] = []
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"GET / HTTP/1.1\r\n\r\n", interim=lambda status, fields: told.append((status, fields)))
        peer.say(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + OK
        )
        head = await connection.head()
        assert (head.status, head.reason, head.headers) == (200, b"OK", [(b"Content-Length", b"2")])
        assert told == [(103, [(b"Link", b"</a>")]), (102, [])]
        assert connection.reusable
        connection.close()


async def test_101_leaves_the_connection_to_a_tunnel() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n", upgrade=True)
        peer.say(b"HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n\r\n\x81\x02hi")
        head = await connection.head()
        assert (head.status, head.upgrade) == (101, b"websocket")
        transport, leftover = connection.detach()
        assert leftover == b"\x81\x02hi"
        assert not connection.reusable
        transport.abort()


async def test_an_upgrade_may_be_declined() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", upgrade=True)
        peer.say(b"HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nhi")
        head = await connection.head()
        assert (head.status, head.whole, head.upgrade) == (200, b"hi", b"")
        assert connection.reusable
        connection.close()


async def test_a_reader_that_is_slow_pauses_the_upstream() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"GET / HTTP/1.1\r\n\r\n")
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        await connection.head()
        sending = asyncio.create_task(_say(peer, 64))
        await asyncio.wait({sending}, timeout=0.3)
        assert not sending.done()
        assert connection.buffered <= MIB
        size = 0
        while piece := await connection.read():
            size += len(piece)
        assert size == 64 * MIB
        await sending
        connection.close()


async def test_an_upstream_that_is_slow_pauses_the_pump_and_its_end_wakes_it() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", length=None)
        pumping = asyncio.create_task(_pump(connection, 64))
        await asyncio.wait({pumping}, timeout=0.3)
        assert not pumping.done()
        peer.reset()
        with pytest.raises(ConnectionDied):
            await pumping


async def test_256_mib_go_each_way_in_constant_memory() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()

        async def echo() -> None:
            await peer.request()
            peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 * MIB))
            while piece := await peer.reader.read(1 << 18):
                peer.say(piece)
                await peer.writer.drain()

        echoing = asyncio.create_task(echo())
        tracemalloc.start()
        connection.send(b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (256 * MIB), length=256 * MIB)
        pumping = asyncio.create_task(_pump(connection, 256))
        await connection.head()
        size = 0
        while piece := await connection.read():
            size += len(piece)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await pumping
        assert size == 256 * MIB
        assert connection.reusable
        assert peak < 8 * MIB
        connection.close()
        await echoing


async def _say(peer: Peer, mebibytes: int) -> None:
    for _ in range(mebibytes):
        peer.say(b"x" * MIB)
        await peer.writer.drain()


async def _pump(connection: ClientConnection, mebibytes: int) -> None:
    piece = b"x" * (MIB // 4)
    for _ in range(mebibytes * 4):
        connection.write_body(piece)
        await connection.drain()
    connection.end_body()


async def test_an_upstream_that_stops_reading_is_given_up() -> None:
    async with listening() as upstream:
        connection = await upstream.connect()
        await upstream.accept()
        connection.send(b"PUT / HTTP/1.1\r\n\r\n", length=1 << 30, idle=0.05)
        reply = asyncio.ensure_future(connection.head())

        async def send_on() -> None:
            while True:
                connection.write_body(bytes(1 << 20))
                await connection.drain()

        with pytest.raises(ReplyStalled, match="of the request was taken"):
            await send_on()
        with pytest.raises(ReplyStalled):
            await reply
