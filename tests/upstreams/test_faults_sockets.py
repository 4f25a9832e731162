"""Faults around a client that speaks to a real server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.errors import UpstreamError
from sidecar.upstreams.faults import Fault, Faulty
from tests.kit.gateway import OneAttempt, service_to
from tests.kit.played import as_chunks, as_events
from tests.kit.scripted import reply, scripted
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.call import Reply

EVENT = b'data: {"n": 1}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def in_chunks(*events: bytes) -> bytes:
    """A stream that is never ended."""
    return HEAD + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


async def read(answer: Reply) -> tuple[bytes, str]:
    """The body as far as it came, and why it came no further."""
    assert answer.chunks is not None
    body = b""
    try:
        async for chunk in answer.chunks:
            body += chunk
    except UpstreamError as error:
        return body, error.facts.detail
    finally:
        if answer.closer is not None:
            answer.closer.close()
    return body, ""


async def test_a_stream_that_was_cut_gives_its_connection_up() -> None:
    async with scripted(in_chunks(EVENT, EVENT, EVENT), reply(body=b"ok")) as server:
        service = service_to(server.url, "")
        faulty = Faulty(service.upstream, [Fault("short", cut=2)], lambda: 0.0)
        assert await read(await faulty.send(a_call(), OneAttempt())) == (EVENT * 2, "fault short: cut")
        again = await service.upstream.send(a_call(), OneAttempt())
        assert (again.whole, len(server.requests)) == (b"ok", 2)
        await faulty.aclose()


async def test_a_whole_answer_comes_late_and_whole() -> None:
    async with scripted(reply(body=b"0123456789")) as server:
        service = service_to(server.url, "")
        faulty = Faulty(service.upstream, [Fault("slow", first_token=0.02, stall=0.02)], lambda: 0.0)
        began = asyncio.get_running_loop().time()
        answer = await faulty.send(a_call(), OneAttempt())
        assert answer.length == 10
        assert await read(answer) == (b"0123456789", "")
        assert asyncio.get_running_loop().time() - began >= 0.039
        await faulty.aclose()


async def test_a_delay_of_what_is_left_takes_no_connection() -> None:
    async with scripted() as server:
        service = service_to(server.url, "pool = { max = 1 }")
        faulty = Faulty(service.upstream, [Fault("slow", delay=3600)], lambda: 0.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await faulty.send(a_call(), OneAttempt())
        assert (await service.upstream.send(a_call(), OneAttempt())).whole == b"ok"
        assert len(server.requests) == 1
        await faulty.aclose()


CHUNK = b'data: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}\n\n'
STOP = b'event: message_stop\ndata: {"type": "message_stop"}\n\n'


@pytest.mark.parametrize(("event", "reading"), [(CHUNK, as_chunks), (STOP, as_events)])
async def test_the_sdks_of_the_providers_stumble_over_a_spoiled_event(
    event: bytes, reading: Callable[[bytes], Awaitable[list[Any]]]
) -> None:
    async with scripted(in_chunks(event) + b"0\r\n\r\n") as server:
        service = service_to(server.url, "")
        faulty = Faulty(service.upstream, [Fault("bad", malformed=True)], lambda: 0.0)
        spoiled, why = await read(await faulty.send(a_call(), OneAttempt()))
        await faulty.aclose()
    assert (spoiled[: len(event)], why) == (event, "")
    assert await reading(event) is not None
    with pytest.raises(json.JSONDecodeError):
        await reading(spoiled)
