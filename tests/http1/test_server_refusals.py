"""What must not be served: the refusal, the end of the connection, and nothing handed to `serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.errors import RateLimited
from sidecar.http1.server import ServerLimits
from tests.kit.caller import read_all, serving

if TYPE_CHECKING:
    from sidecar.http1.request import Request

pytestmark = pytest.mark.both_loops

H = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def hello(request: Request) -> None:
    request.respond(200, b"", b"hello")


async def unserved(request: Request) -> None:
    raise AssertionError("this was to be refused")


REFUSED = {
    "both framings": (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "a signed length": (b"POST / HTTP/1.1\r\n" + H + b"Content-Length: +3\r\n\r\nabc", 400),
    "a bad chunk size": (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "a bad chunk end": (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy0\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "a bad host": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "a coding in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a folded field": (b"GET / HTTP/1.1\r\n" + H + b"X: a\r\n b\r\n\r\n", 400),
    "a blank before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "a bare line feed": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "a fragment": (b"GET /a#b HTTP/1.1\r\n" + H + b"\r\n", 400),
    "a foreign scheme": (b"GET ftp://a/ HTTP/1.1\r\n" + H + b"\r\n", 400),
    "a user in the target": (b"GET http://me@a/ HTTP/1.1\r\n" + H + b"\r\n", 400),
    "an asterisk for GET": (b"GET * HTTP/1.1\r\n" + H + b"\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    "another coding": (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "no chunked coding": (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "an unknown method": (b"FETCH / HTTP/1.1\r\n" + H + b"\r\n", 501),
    "a method in lower case": (b"get / HTTP/1.1\r\n" + H + b"\r\n", 501),
    "a method of RTSP": (b"DESCRIBE / HTTP/1.1\r\n" + H + b"\r\n", 501),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\n" + H + b"\r\n", 501),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + H + b"\r\n", 505),
    "HTTP/3": (b"GET / HTTP/3.0\r\n" + H + b"\r\n", 505),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused(name: str) -> None:
    data, status = REFUSED[name]
    async with serving(unserved) as server:
        caller = await server.caller()
        caller.send(data + GET)
        assert (await caller.answer()).status == status
        assert await caller.ended() == b""


async def test_requests_before_a_bad_one_are_answered() -> None:
    async with serving(hello) as server:
        caller = await server.caller()
        caller.send(GET + GET + b"GET / HTTP/1.1\r\n\r\n" + GET)
        assert [(await caller.answer()).status for _ in range(3)] == [200, 200, 400]
        assert await caller.ended() == b""


LIMITS = ServerLimits(max_headers=10, max_header_bytes=1000)
TOO_LARGE = {
    "many fields": b"GET / HTTP/1.1\r\n" + H + b"X: y\r\n" * 10 + b"\r\n",
    "many fields, never ending": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 9000,
    "a long field": b"GET / HTTP/1.1\r\n" + H + b"X: " + b"y" * 1000 + b"\r\n\r\n",
    "a field that never ends": b"GET / HTTP/1.1\r\nX: " + b"y" * 50_000,
    "a long target": b"GET /" + b"x" * 1000 + b" HTTP/1.1\r\n" + H + b"\r\n",
    "a target that never ends": b"GET /" + b"x" * 50_000,
    "trailers": b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 11 + b"\r\n",
    "a long trailer": b"POST / HTTP/1.1\r\n"
    + H
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: "
    + b"y" * 1000
    + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", TOO_LARGE)
async def test_a_head_over_the_limits_is_refused(name: str) -> None:
    async with serving(unserved, LIMITS) as server:
        caller = await server.caller()
        caller.send(TOO_LARGE[name])
        answer = await caller.answer()
        assert (answer.status, answer.body[:17]) == (431, b"header_too_large ")
        assert await caller.ended() == b""


async def test_a_head_within_the_limits_is_served() -> None:
    async with serving(hello, LIMITS) as server:
        caller = await server.caller()
        for _ in range(2):
            caller.send(
                b"POST / HTTP/1.1\r\n" + H + b"X: " + b"y" * 700 + b"\r\nContent-Length: 5000\r\n\r\n" + bytes(5000)
            )
            assert (await caller.answer()).status == 200


async def test_a_flood_of_fields_in_many_reads_is_refused_on_the_way() -> None:
    async with serving(unserved, LIMITS) as server:
        caller = await server.caller()
        caller.send(b"GET / HTTP/1.1\r\n")
        for _ in range(20):
            caller.send(b"X-Flood: yyyyyyyyyyyyyyyyy\r\n")
            await caller.writer.drain()
        assert (await caller.answer()).status == 431


@pytest.mark.parametrize("flood", [b"1;" + b"x" * 2000, b"0\r\nX: " + b"x" * 2000])
async def test_chunk_extensions_and_trailers_that_never_end_fail_the_body(flood: bytes) -> None:
    async def serve(request: Request) -> None:
        await read_all(request)

    async with serving(serve, LIMITS) as server:
        caller = await server.caller()
        caller.send(b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")
        await server.until(lambda: not server.registry.idle)
        for start in range(0, len(flood), 100):
            caller.send(flood[start : start + 100])
            await caller.writer.drain()
        assert (await caller.answer()).status == 431
        assert await caller.ended() == b""


async def test_a_refusal_that_leaves_serve_is_rendered() -> None:
    async def serve(request: Request) -> None:
        raise RateLimited

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        answer = await caller.answer()
        assert (answer.status, answer.body) == (429, b"rate_limited /")
        assert await caller.ended() == b""


async def test_a_crash_costs_its_own_connection_only() -> None:
    async def serve(request: Request) -> None:
        if request.target == b"/late":
            request.start(200, b"", None)
            request.write(b"some")
        if request.target != b"/":
            raise ZeroDivisionError
        request.respond(200, b"", b"hello")

    async with serving(serve, crash=True) as server:
        good, early, late = [await server.caller() for _ in range(3)]
        early.send(b"GET /early HTTP/1.1\r\n" + H + b"\r\n")
        answer = await early.answer()
        assert (answer.status, answer.body) == (500, b"internal_error /early")
        assert await early.ended() == b""
        late.send(b"GET /late HTTP/1.1\r\n" + H + b"\r\n")
        await late.head()
        assert await late.ended() == b"4\r\nsome\r\n"
        good.send(GET)
        assert (await good.answer()).status == 200
        assert [type(error) for error in server.crashes] == [ZeroDivisionError] * 2


async def test_a_request_that_nobody_answered_is_a_crash() -> None:
    async def serve(request: Request) -> None:
        pass

    async with serving(serve, crash=True) as server:
        caller = await server.caller()
        caller.send(GET)
        assert (await caller.answer()).status == 500
        assert len(server.crashes) == 1
