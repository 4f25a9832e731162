"""`finish` on an ordinary http upstream: what a call gave up is read to its end, and the connection used again."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.body import Body
from sidecar.errors import UpstreamError
from tests.kit.gateway import OneAttempt, service_to
from tests.kit.peer import listening
from tests.kit.running import until
from tests.kit.stage import a_call

pytestmark = pytest.mark.both_loops

FINISH = "finish = true"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_the_connection_is_used_again_when_it_is_through() -> None:
    async with listening() as upstream:
        service, attempt = service_to(upstream.url, FINISH + "\npool = { max = 1 }"), OneAttempt()
        sending = asyncio.create_task(service.upstream.send(a_call(b"GET", b"/1"), attempt))
        peer = await upstream.accept()
        await peer.request()
        sending.cancel()
        await asyncio.wait([sending])
        waits = asyncio.create_task(service.upstream.send(a_call(b"GET", b"/2"), OneAttempt()))
        await until(lambda: service.pools[0].stats().waiting == 1)
        assert (attempt.kept, attempt.freed) == (1, 0)
        peer.say(OK)
        assert (await peer.request()).startswith(b"GET /2 ")
        await attempt.until_free()
        peer.say(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n")
        assert (await waits).status == 201
        await service.aclose()


async def test_without_it_the_connection_is_closed() -> None:
    async with listening() as upstream:
        attempt = OneAttempt()
        sending = asyncio.create_task(service_to(upstream.url, "").upstream.send(a_call(), attempt))
        peer = await upstream.accept()
        await peer.request()
        sending.cancel()
        assert await peer.ended()
        assert attempt.kept == 0


async def test_a_request_that_is_not_out_whole_cannot_be_finished() -> None:
    never = asyncio.get_running_loop().create_future()
    async with listening() as upstream:
        service, attempt = service_to(upstream.url, FINISH), OneAttempt()
        sending = asyncio.create_task(service.upstream.send(a_call(body=Body(lambda: never, length=5)), attempt))
        peer = await upstream.accept()
        await peer.request()
        sending.cancel()
        await asyncio.wait([sending])
        assert await peer.ended()
        await attempt.until_free()
        never.cancel()


@pytest.mark.parametrize("length", [5, None])
async def test_a_streamed_request_that_is_out_whole_can(length: int | None) -> None:
    pieces = [b"", b"hello"]
    async with listening() as upstream:
        service, attempt = service_to(upstream.url, FINISH), OneAttempt()
        sending = asyncio.create_task(service.upstream.send(a_call(body=Body(pieces.pop, length=length)), attempt))
        peer = await upstream.accept()
        await peer.request()
        assert await peer.receive(5 if length else 15) == (b"hello" if length else b"5\r\nhello\r\n0\r\n\r\n")
        sending.cancel()
        await asyncio.wait([sending])
        assert attempt.held
        peer.say(OK)
        await attempt.until_free()
        assert service.pools[0].stats().idle == 1
        await service.aclose()


async def test_a_pooled_connection_that_was_never_written_to_is_not_finished() -> None:
    async with listening() as upstream:
        service, attempt = service_to(upstream.url, FINISH), OneAttempt()
        sending = asyncio.create_task(service.upstream.send(a_call(), attempt))
        peer = await upstream.accept()
        await peer.request()
        peer.reset()
        with pytest.raises(UpstreamError, match="before a byte of the reply"):
            await sending
        assert (attempt.kept, service.pools[0].stats().active) == (0, 0)
