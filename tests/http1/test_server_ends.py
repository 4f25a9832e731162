"""How a connection ends, and what is kept until then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import CallerLeft
from sidecar.http1 import server as server_module
from sidecar.http1.intake import Intake
from sidecar.http1.request import MARK
from tests.kit.caller import serving

if TYPE_CHECKING:
    from sidecar.http1.request import Request

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def stream_two_bytes(request: Request) -> None:
    request.start(200, b"", 2)
    request.write(b"ok")
    request.end()


async def test_what_is_sent_during_a_call_is_kept_up_to_a_mark_and_served_after_it() -> None:
    go_on = asyncio.Event()
    long = GET[:-2] + b"A: %b\r\n\r\n" % bytes(1000).replace(b"\0", b"a")
    count = 20 * MARK // len(long)

    async def serve(request: Request) -> None:
        await go_on.wait()
        request.respond(200, b"", b"hello")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await server.until(lambda: bool(server.registry.count) and not server.registry.idle)
        caller.send(long * count)
        intake = server.protocols[0]._intake
        await server.until(lambda: intake.kept > MARK)
        for _ in range(20):
            await asyncio.sleep(0)
        assert intake.kept < 10 * MARK
        go_on.set()
        for _ in range(count + 1):
            assert (await caller.answer()).body == b"hello"


async def test_a_reply_that_ends_long_before_its_request_ends_the_connection() -> None:
    async with serving(stream_two_bytes) as server:
        caller = await server.caller()
        caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (10 * MARK))
        assert (await caller.answer()).body == b"ok"
        assert await caller.ended() == b""


async def test_a_body_that_breaks_after_the_reply_ends_the_connection() -> None:
    async with serving(stream_two_bytes) as server:
        caller = await server.caller()
        caller.send(CHUNKED)
        assert (await caller.answer()).body == b"ok"
        caller.send(b"nonsense\r\n")
        assert await caller.ended() == b""


async def test_who_takes_a_last_reply_slowly_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LINGER", 0.3)
    size = 32 << 20

    async def serve(request: Request) -> None:
        request.close_after = True
        request.respond(200, b"", bytes(size))

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await caller.head()
        left = size
        while left:
            piece = await caller.reader.read(1 << 18)
            assert piece, f"{left} bytes are missing"
            left -= len(piece)
            await asyncio.sleep(0.006)


async def test_who_does_not_take_it_at_all_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LINGER", 0.05)

    async def serve(request: Request) -> None:
        request.close_after = True
        request.respond(200, b"", bytes(32 << 20))

    async with serving(serve) as server:
        caller = await server.caller()
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport, too
        caller.send(GET)
        await server.until(lambda: server.registry.count == 1)
        await server.until(lambda: server.registry.count == 0)


async def test_who_sends_on_after_a_refusal_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LINGER", 0.05)
    async with serving(stream_two_bytes) as server:
        caller = await server.caller()
        caller.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await caller.answer()).status == 400

        async def send_on() -> None:
            while True:
                caller.send(bytes(1000))
                await caller.writer.drain()
                await asyncio.sleep(0)

        with pytest.raises(ConnectionError):
            await send_on()


async def test_a_task_that_is_cancelled_takes_its_connection_along() -> None:
    begun = asyncio.Event()

    async def serve(request: Request) -> None:
        request.start(200, b"", None)
        begun.set()
        await asyncio.Event().wait()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await begun.wait()
        task = server.protocols[0]._task
        assert task is not None
        task.cancel()
        await caller.head()
        assert await caller.ended() == b""


async def test_serving_may_say_itself_that_the_caller_left() -> None:
    async def serve(request: Request) -> None:
        raise CallerLeft

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        assert await caller.ended() == b""


async def test_a_bug_of_ours_while_reading_costs_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Intake, data: bytes) -> None:
        raise ZeroDivisionError

    async with serving(stream_two_bytes, crash=True) as server:
        caller = await server.caller()
        monkeypatch.setattr(Intake, "take", broken)
        caller.send(GET)
        assert (await caller.answer()).status == 500
        assert await caller.ended() == b""
        assert len(server.crashes) == 1


async def test_a_crash_after_the_reply_is_told_and_the_reply_stands() -> None:
    async def serve(request: Request) -> None:
        request.respond(200, b"", b"hello")
        raise ZeroDivisionError

    async with serving(serve, crash=True) as server:
        caller = await server.caller()
        caller.send(GET)
        assert (await caller.answer()).body == b"hello"
        assert await caller.ended() == b""
        assert len(server.crashes) == 1
