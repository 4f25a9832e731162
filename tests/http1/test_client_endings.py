"""An upstream that goes away, at each moment, and which fact that is."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading

import pytest

from sidecar.call import What
from sidecar.http1.client import ClientConnection
from sidecar.http1.failures import ConnectionDied, ExchangeFailed, ReplyCut, ReplyStalled
from tests.kit.peer import listening
from tests.kit.running import until

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def failure_of(connection: ClientConnection) -> ExchangeFailed:
    try:
        head = await connection.head()
        while head.whole is None and await connection.read():
            pass
    except ExchangeFailed as failure:
        return failure
    raise AssertionError("the reply was whole")


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("reused", [False, True])
async def test_it_dies_before_a_byte_of_the_reply(how: str, reused: bool) -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.reused = reused
        connection.send(GET)
        await peer.request()
        getattr(peer, how)()
        failure = await failure_of(connection)
        assert isinstance(failure, ConnectionDied)
        assert failure.what is (What.DEAD_WRITTEN if reused else What.RESET)
        assert connection.bytes_seen == 0


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("reused", [False, True])
async def test_it_is_dead_before_a_byte_of_ours(how: str, reused: bool) -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.reused = reused
        gone = asyncio.get_running_loop().create_future()
        connection.on_lost = lambda lost: None if gone.done() else gone.set_result(lost)
        getattr(peer, how)()
        assert await gone is connection
        assert connection.is_dead()
        with pytest.raises(ConnectionDied) as caught:
            connection.send(GET)
        assert caught.value.what is (What.DEAD_UNWRITTEN if reused else What.RESET)


async def test_the_socket_knows_of_an_end_that_the_loop_has_not_seen() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    async with listening() as upstream:
        upstream.port = server.getsockname()[1]
        connection = await upstream.connect()
        accepted, _ = server.accept()
        assert not connection.is_dead()
        accepted.close()
        assert connection.is_dead()  # no await in between
        connection.close()
    server.close()


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="in the head"),
        pytest.param(b"HTTP/1.1 103 Hints\r\n\r\n", id="after an interim reply"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", id="before the body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", id="in the body"),
        pytest.param(CHUNKED, id="before a chunk"),
        pytest.param(CHUNKED + b"5\r\nab", id="in a chunk"),
        pytest.param(CHUNKED + b"5\r\nabcde\r\n", id="between chunks"),
        pytest.param(CHUNKED + b"5\r\nabcde\r\n0\r\n", id="before the trailers"),
        pytest.param(CHUNKED + b"5\r\nabcde\r\n0\r\nX-A: b\r\n", id="in the trailers"),
    ],
)
@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_reply_that_is_cut_is_never_whole(begun: bytes, how: str) -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.reused = True
        connection.send(GET)
        await peer.request()
        peer.say(begun)
        await peer.writer.drain()
        getattr(peer, how)()
        failure = await failure_of(connection)
        assert isinstance(failure, ReplyCut | ConnectionDied)
        # A reset may overtake what was said before it; what did not arrive cannot be known.
        assert failure.what is (What.RESET if connection.bytes_seen else What.DEAD_WRITTEN)
        assert how == "reset" or connection.bytes_seen == len(begun)
        assert not connection.reusable


async def test_a_reply_to_the_end_of_the_connection_is_cut_by_a_reset() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await connection.head()
        assert await connection.read() == b"abc"
        peer.reset()
        with pytest.raises(ReplyCut, match="inside the reply's body"):
            await connection.read()


async def test_what_came_before_the_cut_can_be_read() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await connection.head()
        peer.say(b"abc")
        peer.end()
        assert await connection.read() == b"abc"
        with pytest.raises(ReplyCut):
            await connection.read()


async def test_a_whole_reply_before_the_end_is_whole() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        await peer.request()
        peer.say(OK)
        peer.end()
        assert (await connection.head()).whole == b"hi"


async def test_an_early_answer_is_heard_though_the_connection_is_reset_under_the_body() -> None:
    """As c-gateway and many small servers do: read a little, refuse, close with the rest unread."""
    server = socket.create_server(("127.0.0.1", 0))

    def refuse(times: int) -> None:
        for _ in range(times):
            accepted, _ = server.accept()
            accepted.recv(100)
            accepted.sendall(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
            accepted.close()

    async def pump(connection: ClientConnection) -> None:
        for _ in range(1000):
            connection.write_body(b"x" * 65536)
            await connection.drain()
            await asyncio.sleep(0)

    thread = threading.Thread(target=refuse, args=(50,))
    thread.start()
    async with listening() as upstream:
        upstream.port = server.getsockname()[1]
        for _ in range(50):
            connection = await upstream.connect()
            connection.send(b"PUT / HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n", length=100_000_000)
            pumping = asyncio.create_task(pump(connection))
            assert (await connection.head()).status == 413
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)
            connection.close()
    thread.join()
    server.close()


async def test_silence_inside_the_body_ends_it() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET, idle=0.05)
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await connection.head()
        with pytest.raises(ReplyStalled) as caught:
            await connection.read()
        assert caught.value.what is What.TIMED_OUT
        assert await peer.request() == GET
        assert await peer.ended()


async def test_what_is_left_of_a_body_may_be_hastened() -> None:
    """From then on a shorter silence ends it, also where a longer one had begun to count; the next exchange has its
    own.
    """
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET, idle=30)
        peer.say(CHUNKED + b"1\r\na\r\n")
        await connection.head()
        assert await connection.read() == b"a"
        asyncio.get_running_loop().call_later(0.05, peer.say, b"1\r\nb\r\n")
        assert await connection.read() == b"b"
        connection.hasten(0.05)
        with pytest.raises(ReplyStalled, match=r"0\.05 s"):
            await connection.read()
        assert await peer.request() == GET
        assert await peer.ended()


async def test_any_byte_breaks_the_silence() -> None:
    """Also one that is none of the body's."""
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET, idle=3600)
        peer.say(CHUNKED)
        await connection.head()
        reading = asyncio.create_task(connection.read())
        await asyncio.sleep(0)
        for piece in (b"1;", b"a", b"=b", b"\r\n"):
            connection._quiet_since = 0.0
            peer.say(piece)
            await until(lambda: connection._quiet_since > 0)
        assert not reading.done()
        peer.say(b"x\r\n0\r\n\r\n")
        assert await reading == b"x"
        assert await connection.read() == b""
        connection.close()


async def test_a_cancelled_wait_leaves_nothing_and_the_connection_is_not_reusable() -> None:
    async with listening() as upstream:
        connection, peer = await upstream.pair()
        connection.send(GET)
        waiting = asyncio.create_task(connection.head())
        await peer.request()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not connection.reusable
        connection.close()
        assert await peer.ended()


async def test_a_connection_that_ended_is_freed_without_the_garbage_collector() -> None:
    async with listening() as upstream:
        gc.collect()
        gc.disable()
        try:
            connection, peer = await upstream.pair()
            connection.send(GET)
            peer.say(OK)
            assert (await connection.head()).whole == b"hi"
            connection.close()
            assert await peer.request()
            assert await peer.ended()
            del connection
            await asyncio.sleep(0)
            assert not [thing for thing in gc.get_objects() if isinstance(thing, ClientConnection)]
        finally:
            gc.enable()
