"""Callers that leave, and callers that are too slow."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import CallerLeft
from sidecar.http1.server import ServerLimits
from tests.kit.caller import PATIENCE, read_all, serving

if TYPE_CHECKING:
    from sidecar.http1.request import Request

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"


async def hello(request: Request) -> None:
    request.respond(200, b"", b"hello")


class Waiting:
    """A `serve` that stays until it is cancelled, and says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: Request) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@pytest.mark.parametrize("sent", [GET, GET + GET, POST], ids=["alone", "pipelined", "body to come"])
async def test_a_caller_that_closes_cancels_its_call_at_once(sent: bytes) -> None:
    serve = Waiting()
    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(sent)
        await serve.begun.wait()
        await caller.close()
        async with asyncio.timeout(PATIENCE):
            await serve.cancelled.wait()
        await server.until(lambda: server.registry.count == 0)


async def test_a_caller_that_only_ends_its_side_has_left_too() -> None:
    serve = Waiting()
    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await serve.begun.wait()
        caller.writer.write_eof()
        assert await caller.ended() == b""
        assert serve.cancelled.is_set()


async def test_a_call_whose_reply_is_complete_is_not_cancelled() -> None:
    replied, ended = asyncio.Event(), asyncio.Event()

    async def serve(request: Request) -> None:
        request.respond(200, b"", b"hello")
        replied.set()
        await server.until(lambda: server.registry.count == 0)
        ended.set()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await replied.wait()
        await caller.close()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_a_reader_of_a_body_hears_that_its_caller_left(leave: str) -> None:
    heard: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    begun = asyncio.Event()

    async def serve(request: Request) -> None:
        pieces = [request.read() for _ in range(2)]
        begun.set()
        last = pieces[-1]
        assert isinstance(last, asyncio.Future)
        last.add_done_callback(lambda read: heard.set_result(read.exception()))
        await asyncio.shield(last)

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(POST + b"some")
        await begun.wait()
        if leave == "close":
            await caller.close()
        else:
            caller.writer.transport.abort()
        async with asyncio.timeout(PATIENCE):
            assert isinstance(await heard, CallerLeft)


async def test_writing_to_a_caller_that_left_does_nothing_and_drain_says_so() -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(request: Request) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # as a clean-up that takes its time would
            await asyncio.Event().wait()
        await server.until(lambda: server.registry.count == 0)
        request.start(200, b"", None)
        assert request.write(b"x")
        request.end()
        with pytest.raises(CallerLeft):
            await request.drain()
        read = request.read()
        assert isinstance(read, asyncio.Future)
        with pytest.raises(CallerLeft):
            await read
        done.set_result(None)

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(POST)
        await server.until(lambda: server.registry.count > server.registry.idle)
        for _ in range(3):
            await asyncio.sleep(0)
        await caller.close()
        async with asyncio.timeout(PATIENCE):
            await done


async def test_a_caller_that_leaves_while_a_reply_drains_cancels_it() -> None:
    cancelled = asyncio.Event()
    paused = asyncio.Event()

    async def serve(request: Request) -> None:
        request.start(200, b"", None)
        try:
            while request.write(bytes(65536)):
                pass
            paused.set()
            await request.drain()
        except (asyncio.CancelledError, CallerLeft):
            cancelled.set()
            raise

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await paused.wait()
        caller.writer.transport.abort()
        async with asyncio.timeout(PATIENCE):
            await cancelled.wait()


async def test_a_caller_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.http1.request.STUCK", 0.05)
    given_up = asyncio.Event()

    async def serve(request: Request) -> None:
        request.start(200, b"", None)
        try:
            while True:
                if not request.write(bytes(65536)):
                    await request.drain()
        except (asyncio.CancelledError, CallerLeft):
            given_up.set()
            raise

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        async with asyncio.timeout(PATIENCE):
            await given_up.wait()


async def test_a_slow_head_is_408() -> None:
    async with serving(hello, ServerLimits(header_timeout=0.05)) as server:
        caller = await server.caller()
        caller.send(GET + GET[:-1])
        assert (await caller.answer()).status == 200
        answer = await caller.answer()
        assert (answer.status, answer.body) == (408, b"request_timeout -")
        assert await caller.ended() == b""


async def test_an_idle_connection_is_closed_silently() -> None:
    async with serving(hello, ServerLimits(keepalive=0.05)) as server:
        fresh, used = await server.caller(), await server.caller()
        used.send(GET)
        await used.answer()
        assert await fresh.ended() == b""
        assert await used.ended() == b""


async def test_a_call_in_progress_is_not_idle() -> None:
    async def serve(request: Request) -> None:
        await asyncio.sleep(0.2)
        request.respond(200, b"", b"slow")

    async with serving(serve, ServerLimits(keepalive=0.02, header_timeout=0.02, body_timeout=0.02)) as server:
        caller = await server.caller()
        caller.send(GET)
        assert (await caller.answer()).body == b"slow"
        assert await caller.ended() == b""


async def test_a_silent_body_fails_its_reader() -> None:
    async with serving(read_and_answer, ServerLimits(body_timeout=0.05)) as server:
        caller = await server.caller()
        caller.send(POST + b"some")
        answer = await caller.answer()
        assert (answer.status, answer.body) == (408, b"request_timeout /")
        assert await caller.ended() == b""


async def read_and_answer(request: Request) -> None:
    request.respond(200, b"", await read_all(request))


async def test_who_waits_for_continue_or_for_us_is_not_silent() -> None:
    async def serve(request: Request) -> None:
        await asyncio.sleep(0.2)
        await read_and_answer(request)

    async with serving(serve, ServerLimits(body_timeout=0.1)) as server:
        expecting, sending = await server.caller(), await server.caller()
        expecting.send(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        sending.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + bytes(9_000_000))
        await expecting.exactly(b"HTTP/1.1 100 Continue\r\n\r\n")
        expecting.send(b"0123456789")
        assert (await expecting.answer()).status == 200
        assert (await sending.answer()).status == 200


async def test_a_timeout_of_zero_is_none() -> None:
    async with serving(read_and_answer, ServerLimits(body_timeout=0, keepalive=0, header_timeout=0)) as server:
        caller = await server.caller()
        for byte in POST + b"0123456789":
            caller.send(bytes([byte]))
            await asyncio.sleep(0.001)
        assert (await caller.answer()).status == 200


async def test_closing_idle_connections_spares_the_busy() -> None:
    async with serving(read_and_answer) as server:
        idle, head, body = [await server.caller() for _ in range(3)]
        idle.send(GET)
        await idle.answer()
        head.send(GET[:-2])
        body.send(POST)
        await server.until(lambda: server.registry.count == 3)
        await server.until(lambda: server.registry.idle == 1)
        server.registry.draining = True
        server.registry.close_idle()
        assert await idle.ended() == b""
        head.send(GET[-2:])
        body.send(b"0123456789")
        assert (await head.answer()).fields["connection"] == "close"
        assert (await body.answer()).status == 200
