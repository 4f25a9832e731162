"""Replies: framing, persistence, and ends that must not look like ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.http1.connections import Connections
from sidecar.http1.server import ServerConnection, ServerLimits
from tests.kit.caller import Caller, refuse, serving

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.http1.request import Request

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"


async def hello(request: Request) -> None:
    request.respond(200, b"X-Who: us\r\n", b"hello")


async def test_a_whole_reply_has_its_length_and_a_date() -> None:
    async with serving(hello) as server:
        caller = await server.caller()
        caller.send(GET)
        answer = await caller.answer()
    assert answer.status == 200
    assert answer.body == b"hello"
    assert answer.fields.pop("date").endswith("GMT")
    assert answer.fields == {"x-who": "us", "content-length": "5"}


async def test_a_reply_that_is_dated_gets_no_second_date() -> None:
    async def serve(request: Request) -> None:
        request.respond(200, b"Date: then\r\n", dated=True)

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        assert (await caller.answer()).fields["date"] == "then"


async def test_a_reason_may_be_another_one() -> None:
    async def serve(request: Request) -> None:
        request.respond(299, b"", b"", reason=b"Very Fine")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await caller.exactly(b"HTTP/1.1 299 Very Fine\r\n")


async def test_a_connection_serves_one_request_after_another() -> None:
    async with serving(hello) as server:
        caller = await server.caller()
        for _ in range(3):
            caller.send(GET)
            assert (await caller.answer()).body == b"hello"


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def serve(request: Request) -> None:
        if request.target == b"/0":
            await asyncio.sleep(0.01)
        request.respond(200, b"", request.target)

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(2000)))
        for n in range(2000):
            assert (await caller.answer()).body == b"/%d" % n


async def test_connection_close_is_done_as_asked() -> None:
    async with serving(hello) as server:
        caller = await server.caller()
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET)
        assert (await caller.answer()).fields["connection"] == "close"
        assert await caller.ended() == b""


async def test_http_10_ends_after_a_reply_unless_asked_to_stay() -> None:
    async with serving(hello) as server:
        caller = await server.caller()
        caller.send(OLD)
        assert (await caller.answer()).fields["connection"] == "close"
        assert await caller.ended() == b""
        caller = await server.caller()
        for _ in range(2):
            caller.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await caller.answer()).fields["connection"] == "keep-alive"


async def test_a_reply_may_end_its_connection() -> None:
    async def serve(request: Request) -> None:
        request.close_after = True
        request.respond(200, b"", b"bye")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        assert (await caller.answer()).fields["connection"] == "close"
        assert await caller.ended() == b""


@pytest.mark.parametrize("status", [204, 304])
async def test_some_statuses_have_neither_body_nor_length(status: int) -> None:
    async def serve(request: Request) -> None:
        request.respond(status, b"", b"not sent")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET + GET)
        answer = await caller.answer()
        assert answer.status == status
        assert "transfer-encoding" not in answer.fields
        if status == 204:
            assert "content-length" not in answer.fields
        assert (await caller.answer()).status == status


async def test_head_gets_the_length_and_no_body() -> None:
    async def serve(request: Request) -> None:
        if request.target == b"/streamed":
            request.start(200, b"", 70_000)
            request.write(b"not sent")
            request.end()
        else:
            request.respond(200, b"", b"hello")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /streamed HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert (await caller.answer(to="HEAD")).fields["content-length"] == "5"
        assert (await caller.answer(to="HEAD")).fields["content-length"] == "70000"
        assert (await caller.answer()).body == b"hello"


async def streamed(request: Request) -> None:
    request.start(200, b"", None)
    request.write(b"one")
    request.write(b"")  # no last chunk
    request.write(b"two")
    request.end([(b"X-Sum", b"6")])


async def test_a_body_without_a_length_is_chunked_and_may_have_trailers() -> None:
    async with serving(streamed) as server:
        caller = await server.caller()
        for _ in range(2):
            caller.send(GET)
            answer = await caller.answer()
            assert answer.body == b"onetwo"
            assert answer.trailers == {"x-sum": "6"}


async def test_for_http_10_it_ends_with_the_connection() -> None:
    async with serving(streamed) as server:
        caller = await server.caller()
        caller.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await caller.answer()
        assert answer.body == b"onetwo"
        assert answer.fields["connection"] == "close"
        assert "transfer-encoding" not in answer.fields


async def test_interim_replies_come_before_the_reply() -> None:
    async def serve(request: Request) -> None:
        request.interim(103, b"Link: </a>\r\n")
        request.respond(200, b"", b"")
        request.interim(103, b"")  # too late: nothing is sent

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await caller.exactly(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        assert (await caller.answer()).status == 200
        caller.send(OLD)
        assert (await caller.answer()).status == 200
        assert await caller.ended() == b""


async def test_an_aborted_chunked_reply_has_no_last_chunk() -> None:
    async def serve(request: Request) -> None:
        request.start(200, b"", None)
        request.write(b"error event")
        request.abort()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        await caller.head()
        assert await caller.ended() == b"b\r\nerror event\r\n"


async def test_an_aborted_close_delimited_reply_is_reset() -> None:
    seen = asyncio.Event()

    async def serve(request: Request) -> None:
        request.start(200, b"", None)
        request.write(b"some")
        await seen.wait()
        request.abort()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(OLD)
        await caller.head()
        await caller.exactly(b"some")
        seen.set()
        with pytest.raises(ConnectionResetError):
            await caller.ended()


async def test_abort_before_a_reply_is_a_reset() -> None:
    async def serve(request: Request) -> None:
        request.abort()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        with pytest.raises(ConnectionResetError):
            await caller.ended()


async def test_a_reply_shorter_than_its_length_is_cut() -> None:
    async def serve(request: Request) -> None:
        request.start(200, b"", 10)
        request.write(b"four")
        request.end()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET + GET)
        assert (await caller.head()).fields["content-length"] == "10"
        assert await caller.ended() == b"four"


async def test_a_reply_longer_than_its_length_is_an_error_and_cut() -> None:
    async def serve(request: Request) -> None:
        request.start(200, b"", 4)
        request.write(b"fo")
        request.write(b"urteen")

    async with serving(serve, crash=True) as server:
        caller = await server.caller()
        caller.send(GET)
        await caller.head()
        assert await caller.ended() == b"fo"
        assert [str(error) for error in server.crashes] == ["the reply is 4 bytes longer than its Content-Length"]


async def test_a_request_is_answered_once() -> None:
    async def serve(request: Request) -> None:
        request.respond(200, b"", b"")
        with pytest.raises(RuntimeError, match="answered once"):
            request.respond(200, b"", b"")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        assert (await caller.answer()).status == 200


async def test_a_reply_starts_before_it_ends_and_ends_once() -> None:
    async def serve(request: Request) -> None:
        with pytest.raises(RuntimeError, match="must start"):
            request.end()
        request.start(200, b"", None)
        request.end()
        request.end()

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET + GET)
        assert (await caller.answer()).body == (await caller.answer()).body == b""


async def test_draining_ends_connections_with_their_reply() -> None:
    async with serving(hello) as server:
        caller = await server.caller()
        caller.send(GET)
        await caller.answer()
        server.registry.draining = True
        caller.send(GET)
        assert (await caller.answer()).fields["connection"] == "close"
        assert await caller.ended() == b""


async def test_a_unix_socket_has_no_addresses(tmp_path: Path) -> None:
    async def serve(request: Request) -> None:
        request.respond(200, b"", f"{request.peer},{request.local},{request.secure}".encode())

    crashes: list[BaseException] = []

    def connection() -> ServerConnection:
        return ServerConnection(serve, ServerLimits(), refuse, Connections(), crashed=crashes.append)

    path = str(tmp_path / "s")
    listener = await asyncio.get_running_loop().create_unix_server(connection, path)
    caller = Caller(*await asyncio.open_unix_connection(path))
    caller.send(GET)
    assert (await caller.answer()).body == b"unix,,False"
    await caller.close()
    listener.close()
    assert crashes == []
