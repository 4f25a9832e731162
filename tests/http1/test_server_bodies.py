"""Request bodies: framing, `Expect`, early replies, back-pressure."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import InvalidRequest
from sidecar.http1.request import MARK
from tests.kit.caller import read_all, serving, take

if TYPE_CHECKING:
    from sidecar.http1.request import Request

pytestmark = pytest.mark.both_loops

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(length: int, *fields: bytes) -> bytes:
    extra = b"".join(field + b"\r\n" for field in fields)
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n" % (length, extra)


async def echo(request: Request) -> None:
    request.respond(200, b"", await read_all(request))


async def test_a_small_body_is_whole_when_serving_begins() -> None:
    seen = []

    async def serve(request: Request) -> None:
        seen.append((request.length, request.whole))
        request.respond(200, b"", await read_all(request))

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(post(5) + b"hello" + post(0) + CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        assert [(await caller.answer()).body for _ in range(3)] == [b"hello", b"", b"hello"]
    assert seen == [(5, b"hello"), (0, b""), (None, b"hello")]


async def test_a_body_may_come_bit_by_bit() -> None:
    async with serving(echo) as server:
        caller = await server.caller()
        for byte in CHUNKED + b"5;note=1\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n":
            caller.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await caller.answer()).body == b"hello"


async def test_trailers_are_not_headers() -> None:
    seen = []

    async def serve(request: Request) -> None:
        await read_all(request)
        seen.append((request.fields.get(b"x-sum"), request.trailers))
        request.respond(200, b"")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n")
        await caller.answer()
    assert seen == [(None, [(b"X-Sum", b"5")])]


async def test_continue_is_said_at_the_first_read() -> None:
    read = asyncio.Event()

    async def serve(request: Request) -> None:
        assert request.expects_continue
        await read.wait()
        await echo(request)

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(post(5, b"Expect: 100-Continue"))
        await server.until(lambda: not server.registry.idle)
        read.set()
        await caller.exactly(b"HTTP/1.1 100 Continue\r\n\r\n")
        caller.send(b"hello")
        assert (await caller.answer()).body == b"hello"


async def test_nobody_is_told_to_continue_who_does_not_wait() -> None:
    async with serving(echo) as server:
        caller = await server.caller()
        caller.send(post(5, b"Expect: 100-continue") + b"hello")
        assert (await caller.answer()).status == 200
        caller.send(b"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        await server.until(lambda: not server.registry.idle)
        caller.send(b"hello")
        assert (await caller.answer()).status == 200


async def test_another_expectation_is_left_to_the_upstream() -> None:
    async with serving(echo) as server:
        caller = await server.caller()
        caller.send(post(0, b"Expect: the-unexpected"))
        assert (await caller.answer()).status == 200


async def test_a_reply_without_continue_ends_the_connection() -> None:
    """Whether the caller will send the body now cannot be known (RFC 9110, section 10.1.1)."""

    async def serve(request: Request) -> None:
        request.respond(403, b"", b"no")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(post(5, b"Expect: 100-continue"))
        assert (await caller.answer()).fields["connection"] == "close"
        assert await caller.ended() == b""


async def test_an_early_reply_keeps_the_connection_for_a_little_more_body() -> None:
    async def serve(request: Request) -> None:
        request.respond(200, b"", request.target)

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(post(MARK))
        assert "connection" not in (await caller.answer()).fields
        caller.send(b"x" * MARK + post(0))
        assert (await caller.answer()).status == 200


@pytest.mark.parametrize("head", [post(10 * MARK), CHUNKED])
async def test_an_early_reply_ends_the_connection_for_much_more(head: bytes) -> None:
    async def serve(request: Request) -> None:
        request.respond(413, b"", b"too much")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(head)
        answer = await caller.answer()
        assert answer.body == b"too much"
        assert answer.fields["connection"] == "close"
        assert await caller.ended() == b""  # and no reset, though more may be on its way


async def test_the_reply_may_run_while_the_body_comes() -> None:
    async def serve(request: Request) -> None:
        request.start(200, b"", None)
        while piece := await take(request):
            request.write(piece.upper())
        request.end()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(CHUNKED)
        await caller.head()
        caller.send(b"2\r\nhe\r\n")
        await caller.exactly(b"2\r\nHE\r\n")
        caller.send(b"3\r\nllo\r\n0\r\n\r\n")
        await caller.exactly(b"3\r\nLLO\r\n0\r\n\r\n")
        caller.send(CHUNKED + b"0\r\n\r\n")
        assert (await caller.answer()).body == b""


async def test_a_reply_that_ends_before_a_long_body_ends_the_connection() -> None:
    async def serve(request: Request) -> None:
        request.start(200, b"", 2)
        request.write(b"ok")
        request.end()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(CHUNKED)
        assert (await caller.answer()).body == b"ok"
        caller.send(b"20000\r\n" + b"x" * 0x20000 + b"\r\n")
        assert await caller.ended() == b""


async def test_a_body_that_breaks_fails_its_reader_and_the_connection() -> None:
    seen: list[Exception] = []

    async def serve(request: Request) -> None:
        try:
            await read_all(request)
        except InvalidRequest as error:
            seen.append(error)
            raise

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(CHUNKED + b"2\r\nhe\r\n")
        await server.until(lambda: not server.registry.idle)
        await asyncio.sleep(0)
        caller.send(b"nonsense\r\n")
        answer = await caller.answer()
        assert (answer.status, answer.body) == (400, b"invalid_request /")
        assert await caller.ended() == b""
    assert len(seen) == 1


async def test_a_slow_reader_of_a_body_pauses_its_caller() -> None:
    go_on = asyncio.Event()
    requests = []

    async def serve(request: Request) -> None:
        requests.append(request)
        await go_on.wait()
        request.respond(200, b"", b"%d" % len(await read_all(request)))

    size = 16 << 20
    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(post(size) + bytes(size))
        await server.until(lambda: bool(requests) and requests[0].arrived > MARK)
        for _ in range(20):
            await asyncio.sleep(0)
        assert requests[0].arrived < 1 << 20
        go_on.set()
        assert (await caller.answer()).body == b"%d" % size


async def test_a_huge_body_goes_both_ways_in_constant_memory() -> None:
    """256 MiB through an echo: what is held at once stays near the two marks."""
    size = 256 << 20
    block = bytes(256 * 1024)

    async def serve(request: Request) -> None:
        request.start(200, b"", request.length)
        while piece := await take(request):
            if not request.write(piece):
                await request.drain()
        request.end()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(post(size))
        await caller.head()

        async def upload() -> None:
            for _ in range(size // len(block)):
                caller.send(block)
                await caller.writer.drain()

        tracemalloc.start()
        try:
            uploading = asyncio.create_task(upload())
            left = size
            while left:
                left -= len(await caller.reader.read(1 << 20))
            await uploading
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20


async def test_a_caller_that_does_not_read_pauses_the_reply() -> None:
    paused = asyncio.Event()
    piece = bytes(MARK)

    async def serve(request: Request) -> None:
        request.start(200, b"", 400 * MARK)
        for _ in range(400):
            if not request.write(piece):
                paused.set()
                await request.drain()
        request.end()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await paused.wait()
        assert len((await caller.answer()).body) == 400 * MARK
