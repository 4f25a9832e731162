"""c-gateway's event streams: beside its other work, and not too many."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.call import What
from sidecar.errors import UpstreamError
from sidecar.upstreams.c_gateway import STREAM_PATH, STREAMS
from tests.kit.gateway import Gateway, OneAttempt, Served, gateway, service_to
from tests.kit.running import until
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from sidecar.call import Reply
    from sidecar.wiring import HttpService

pytestmark = pytest.mark.both_loops

BEGUN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\n\r\n: connected\n\n"


async def stream(server: Gateway, service: HttpService, path: bytes = STREAM_PATH) -> tuple[OneAttempt, Served, Reply]:
    attempt = OneAttempt()
    sending = asyncio.create_task(service.upstream.send(a_call(b"GET", path + b"?tenant_id=t"), attempt))
    served = await server.next()
    served.say(BEGUN)
    return attempt, served, await sending


async def test_a_stream_gives_its_slot_back_when_it_begins() -> None:
    async with gateway() as server:
        attempt, served, reply = await stream(server, service_to(server.url))
        await attempt.until_free()
        served.say(b"event: message_updated\ndata: {}\n\n")
        served.close()
        assert reply.chunks is not None
        heard = b"".join([chunk async for chunk in reply.chunks])
        assert heard == b": connected\n\nevent: message_updated\ndata: {}\n\n"
        assert reply.closer is not None
        reply.closer.close()
        assert (attempt.kept, attempt.freed) == (1, 1)


async def test_one_more_than_there_are_places_for_is_not_sent() -> None:
    async with gateway() as server:
        service = service_to(server.url)
        streams = [await stream(server, service) for _ in range(STREAMS)]
        with pytest.raises(UpstreamError, match="60 event streams are open") as told:
            await service.upstream.send(a_call(b"GET", STREAM_PATH), OneAttempt())
        assert told.value.facts.what is What.OVERLOADED
        assert server.nobody_came()

        # What answers with a stream elsewhere keeps its slot, and other calls go on.
        attempt, served, reply = await stream(server, service, b"/elsewhere")
        assert attempt.held
        assert reply.closer is not None
        reply.closer.close()
        served.close()
        await attempt.until_free()

        _, served, reply = streams[0]
        assert reply.closer is not None
        reply.closer.close()
        with pytest.raises(UpstreamError):  # its connection is still read to its end: the place is taken
            await service.upstream.send(a_call(b"GET", STREAM_PATH), OneAttempt())
        served.close()
        pool = service.pools[0]
        await until(lambda: pool.stats().active < STREAMS)
        attempt, _, _ = await stream(server, service)
        assert not attempt.held
        service.cut()
