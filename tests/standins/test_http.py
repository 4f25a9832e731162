"""The stand-in service, seen by a caller with real sockets."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from sidecar.standins.faults import HEALTHY, Fault, Kind
from sidecar.standins.http import StandIn
from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def running(fault: Fault = HEALTHY) -> AsyncIterator[tuple[StandIn, aiohttp.ClientSession]]:
    standin = StandIn("echo", fault=fault)
    url = await standin.start()
    try:
        async with aiohttp.ClientSession(url) as caller:
            yield standin, caller
    finally:
        await standin.stop()


async def raw_exchange(standin: StandIn) -> bytes:
    """All bytes that one GET is answered with; b"RST" at the end if the connection was reset."""
    reader, writer = await asyncio.open_connection(standin.host, standin.port)
    writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
    seen = b""
    try:
        while piece := await reader.read(65536):
            seen += piece
    except ConnectionResetError:
        seen += b"RST"
    writer.close()
    return seen


async def test_healthy_it_tells_what_it_was_sent() -> None:
    async with running() as (standin, caller):
        async with caller.put("/a/b?c=d", data=b"12345", headers={"X-Colour": "red"}) as reply:
            told = await reply.json()
        assert (told["service"], told["method"], told["path"], told["body_bytes"]) == ("echo", "PUT", "/a/b?c=d", 5)
        assert ["X-Colour", "red"] in told["headers"]
        assert (standin.requests, standin.faulty) == (1, 0)


async def test_healthy_it_streams_to_who_accepts_events() -> None:
    async with running() as (_, caller), caller.get("/", headers={"Accept": "text/event-stream"}) as reply:
        text = await reply.text()
    assert text.count("\ndata: ") == 6
    assert text.endswith("event: done\ndata: {}\n\n")


async def test_healthy_it_echoes_a_web_socket() -> None:
    async with running() as (_, caller), caller.ws_connect("/ws") as socket:
        await socket.send_str("hello")
        await socket.send_bytes(b"\x00\x01")
        assert await socket.receive_str() == "hello"
        assert await socket.receive_bytes() == b"\x00\x01"


async def test_failing_it_spares_the_rest() -> None:
    async with running(Fault(Kind.FAIL, status=502, share=0.5)) as (standin, caller):
        statuses = [(await caller.get("/")).status for _ in range(4)]
        assert statuses == [200, 502, 200, 502]
        assert (standin.requests, standin.faulty) == (4, 2)


async def test_slow_it_answers_well_in_the_end() -> None:
    async with running(Fault(Kind.SLOW, delay=0.05)) as (_, caller):
        began = asyncio.get_running_loop().time()
        async with caller.get("/") as reply:
            assert reply.status == 200
        # Never less than its word; uvloop and epoll may round to a millisecond.
        assert asyncio.get_running_loop().time() - began >= 0.045


@pytest.mark.parametrize(("kind", "status"), [(Kind.THROTTLE, 429), (Kind.UNAVAILABLE, 503)])
async def test_it_says_when_to_come_back(kind: Kind, status: int) -> None:
    async with running(Fault(kind, retry_after=7)) as (_, caller), caller.get("/") as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (status, "7")


async def test_a_huge_body_comes_whole() -> None:
    async with running(Fault(Kind.HUGE, size=1_000_001)) as (_, caller), caller.get("/") as reply:
        assert reply.content_length == 1_000_001
        assert len(await reply.read()) == 1_000_001


@pytest.mark.both_loops
@pytest.mark.parametrize(
    ("kind", "starts", "ends"),
    [
        (Kind.RESET, b"RST", b"RST"),
        (Kind.RESET_BODY, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n", b"xRST"),
        (Kind.SHORT, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n", b"x" * 100),
        (Kind.LONG, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n", b"x" * 1000),
        (Kind.GARBAGE, b"\x00\x01\x02", b"\r\n"),
        (Kind.TRAILERS, b"HTTP/1.1 200 OK\r\n", b"0\r\nX-Checksum: 5eb63bbb\r\nX-Rows: 2\r\n\r\n"),
        (Kind.HINTS, b"HTTP/1.1 103 Early Hints\r\n", b"\r\n\r\nok\n"),
    ],
)
async def test_what_no_good_server_sends(kind: Kind, starts: bytes, ends: bytes) -> None:
    async with running(Fault(kind)) as (standin, _):
        seen = await raw_exchange(standin)
    assert seen.startswith(starts)
    assert seen.endswith(ends)


async def test_a_cut_stream_has_no_end() -> None:
    async with running(Fault(Kind.CUT, events=2, every=0)) as (standin, _):
        seen = await raw_exchange(standin)
    assert seen.count(b"data: ") == 2
    assert b"event: done" not in seen
    assert not seen.endswith(b"0\r\n\r\n")


async def test_the_fault_is_switched_over_http() -> None:
    async with running() as (standin, caller):
        async with caller.post("/_fault", json={"kind": "fail", "status": 418}) as reply:
            assert (await reply.json())["fault"]["kind"] == "fail"
        assert (await caller.get("/")).status == 418
        await caller.post("/_fault", json={"kind": "none"})
        assert (await caller.get("/")).status == 200
        async with caller.get("/_fault") as reply:
            told = await reply.json()
        assert (told["requests"], told["faulty"]) == (2, 1)
        assert standin.fault == HEALTHY


@pytest.mark.parametrize("asked", [{"kind": "explode"}, {"kind": "dead"}, ["slow"]])
async def test_a_fault_that_cannot_be_is_refused(asked: object) -> None:
    async with running() as (standin, caller), caller.post("/_fault", json=asked) as reply:
        assert reply.status == 400
        assert (await reply.json())["error"]
        assert standin.fault == HEALTHY


async def test_dead_nobody_listens_and_old_connections_are_gone() -> None:
    async with running() as (standin, caller):
        await caller.get("/")
        await standin.switch(Fault(Kind.DEAD))
        with pytest.raises(aiohttp.ClientConnectorError):
            await caller.get("/")
        await standin.switch(HEALTHY)
        assert (await caller.get("/")).status == 200


async def test_dead_for_a_while_it_comes_back_by_itself() -> None:
    async with running() as (standin, caller):
        async with caller.post("/_fault", json={"kind": "dead", "lasts": 0.01}) as reply:
            assert reply.status == 200
        assert standin._switching.later is not None
        await standin._switching.later
        assert (await caller.get("/")).status == 200


async def test_stopping_does_not_wait_for_a_busy_connection() -> None:
    began = asyncio.Event()

    async def never(_: web.BaseRequest) -> web.StreamResponse:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    standin = StandIn("busy", answer=never)
    url = await standin.start()
    async with aiohttp.ClientSession(url) as caller, asyncio.timeout(PATIENCE):
        waiting = asyncio.ensure_future(caller.get("/"))
        await began.wait()
        await standin.stop()
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_a_caller_that_has_left_when_it_is_answered_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def late(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        response = web.StreamResponse()
        await response.prepare(request)
        request.transport.abort()
        await response.write(b"late")
        raise AssertionError

    standin = StandIn("late", answer=late)
    await standin.start()
    await raw_exchange(standin)
    await standin.stop()
    assert caplog.records == []


async def test_the_command_says_where_it_is_and_ends_on_a_signal() -> None:
    command = (sys.executable, "-m", "sidecar.standins.http", "--name", "cart", "--fault", "fail:status=503")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            name, url, kind = (await process.stdout.readline()).decode().split()
        assert (name, kind) == ("cart", "fail")
        async with aiohttp.ClientSession() as caller, caller.get(url) as reply:
            assert reply.status == 503
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
