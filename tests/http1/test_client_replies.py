"""Replies in every framing, and how the connection is left by each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.http1.failures import ReplyUnparseable
from tests.kit.peer import listening

if TYPE_CHECKING:
    from sidecar.http1.client import ClientConnection
    from sidecar.http1.reply import ReplyHead

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


async def rest_of(connection: ClientConnection) -> bytes:
    pieces = []
    while piece := await connection.read():
        pieces.append(piece)
    return b"".join(pieces)


async def whole(connection: ClientConnection) -> bytes:
    head = await connection.head()
    return await rest_of(connection) if head.whole is None else head.whole


async def test_a_small_reply_comes_whole_with_its_head() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        assert await peer.request() == GET
        peer.say(b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nhi")
        head = await connection.head()
        assert (head.status, head.reason, head.length, head.whole) == (201, b"Made", 2, b"hi")
        assert head.headers == [(b"Content-Length", b"2"), (b"X-A", b"1"), (b"x-a", b"2")]
        assert connection.reusable
        connection.close()


async def test_a_body_that_is_late_is_read_piece_by_piece() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        head = await connection.head()
        assert (head.whole, head.length) == (None, 6)
        peer.say(b"abc")
        assert await connection.read() == b"abc"
        assert (connection.complete, connection.reusable) == (False, False)
        peer.say(b"def")
        assert await connection.read() == b"def"
        assert await connection.read() == b""
        assert connection.reusable
        connection.close()


async def test_read_joins_all_that_is_there() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n")
        assert (await connection.head()).whole is None
        assert await connection.read() == b"abcdef"
        connection.close()


async def test_a_chunked_reply_with_trailers() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 7\r\nX-End: 1\r\n\r\n"
        )
        head = await connection.head()
        assert (head.whole, head.length) == (b"abc", None)
        assert connection.trailers == [(b"X-Sum", b"7"), (b"X-End", b"1")]
        assert connection.reusable
        connection.close()


async def test_trailers_that_come_later_are_there_when_the_body_has_ended() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n")
        await connection.head()
        assert await connection.read() == b"abc"
        peer.say(b"X-Sum: 7\r\n\r\n")
        assert await connection.read() == b""
        assert connection.trailers == [(b"X-Sum", b"7")]
        connection.close()


async def test_a_reply_without_a_length_ends_with_the_connection() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(b"HTTP/1.1 200 OK\r\n\r\nabc")
        head = await connection.head()
        assert (head.whole, head.length, head.keep_alive) == (None, None, False)
        peer.say(b"def")
        peer.end()
        assert await rest_of(connection) == b"abcdef"
        assert connection.complete
        assert not connection.reusable


@pytest.mark.parametrize("fields", [b"Content-Length: 1000\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_the_reply_to_a_head_ends_at_its_head_and_the_next_one_is_read_well(fields: bytes) -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        for _ in range(2):
            connection.send(b"HEAD / HTTP/1.1\r\n\r\n", head_only=True)
            peer.say(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n")
            head = await connection.head()
            assert (head.whole, head.keep_alive, connection.reusable) == (b"", True, True)
        connection.send(GET)
        peer.say(OK)
        assert (await connection.head()).whole == b"hi"
        connection.close()


async def test_the_reply_to_a_head_may_close_the_connection() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"HEAD / HTTP/1.1\r\n\r\n", head_only=True)
        peer.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        assert not (await connection.head()).keep_alive
        connection.close()


@pytest.mark.parametrize("line", [b"204 No Content", b"304 Not Modified"])
async def test_a_status_without_body_ends_at_its_head(line: bytes) -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(b"HTTP/1.1 " + line + b"\r\nETag: x\r\n\r\n")
        assert (await connection.head()).whole == b""
        assert connection.reusable
        connection.send(GET)
        peer.say(OK)
        assert (await connection.head()).whole == b"hi"
        connection.close()


async def test_a_304_tells_the_length_it_does_not_send() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n")
        head = await connection.head()
        assert (head.whole, head.length, connection.reusable) == (b"", 500, True)
        connection.close()


async def test_http_1_0_closes_unless_it_says_otherwise() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
        assert (await connection.head()).keep_alive
        connection.send(GET)
        peer.say(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert not (await connection.head()).keep_alive
        connection.close()


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", id="both framings"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", id="both, swapped"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", id="equal lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc", id="negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", id="list of lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="gzip, chunked"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc", id="gzip to the end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc", id="identity"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="twice"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", id="bad chunk"),
        pytest.param(b"<html>hello</html>", id="HTTP/0.9"),
        pytest.param(b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n", id="version 0.9"),
        pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="version 2.0"),
        pytest.param(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80", id="h2 frames"),
        pytest.param(b"\x16\x03\x01\x00\xa5\x01\x00\x00", id="TLS"),
        pytest.param(b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", id="status 99"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n", id="folded field"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare LF"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", id="NUL in a value"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", id="101 unasked"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n", id="70 KiB head"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 12_000, id="endless head"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 4_000, id="endless interim replies"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 300_000, id="endless chunk extension"
        ),
    ],
)
async def test_what_is_no_good_reply_is_unparseable(reply: bytes) -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(reply)
        with pytest.raises(ReplyUnparseable):
            await whole(connection)
        assert not connection.reusable
        assert await peer.request() == GET
        assert await peer.ended()


async def test_equal_lengths_are_one_where_that_is_allowed() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair(lenient_length=True)
        for _ in range(2):
            connection.send(GET)
            peer.say(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nX-A: b\r\ncontent-length:  2\r\n\r\nno")
            head = await connection.head()
            assert (head.status, head.length, head.whole) == (503, 2, b"no")
            assert head.headers == [(b"Content-Length", b"2"), (b"X-A", b"b")]
        connection.send(GET)
        peer.say(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nno")
        with pytest.raises(ReplyUnparseable):
            await connection.head()


async def test_a_lenient_head_may_come_in_pieces_and_after_an_interim_one() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair(lenient_length=True)
        connection.send(GET)
        for piece in (
            b"HTTP/1.1 103 Hints\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConte",
            b"nt-Length: 2\r\n\r\nh",
        ):
            peer.say(piece)
            await peer.writer.drain()
            await asyncio.sleep(0)
        assert (await connection.head()).length == 2
        peer.say(b"i")
        assert await rest_of(connection) == b"hi"
        connection.close()


@pytest.mark.parametrize("surplus", [OK, b"garbage", b"HTTP/1.1 20", b"\x00"])
async def test_what_follows_a_reply_is_never_the_next_one(surplus: bytes) -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(OK + surplus)
        assert (await connection.head()).whole == b"hi"
        assert not connection.reusable
        connection.close()


async def test_a_body_behind_a_204_is_surplus() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")
        head: ReplyHead = await connection.head()
        assert (head.status, head.whole, connection.reusable) == (204, b"", False)
        connection.close()


async def test_a_body_behind_the_reply_to_a_head_is_surplus() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(b"HEAD / HTTP/1.1\r\n\r\n", head_only=True)
        peer.say(OK)
        assert (await connection.head()).whole == b""
        assert not connection.reusable
        connection.close()


async def test_bytes_between_two_exchanges_close_the_connection() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        peer.say(OK)
        await connection.head()
        assert await peer.request() == GET
        assert connection.reusable
        assert not connection.is_dead()
        peer.say(OK)
        assert await peer.ended()
        assert connection.is_dead()
        assert not connection.reusable
