"""Callers that leave, at each moment: what was done for them ends at once (an upstream call costs money)."""

from __future__ import annotations

import asyncio

import pytest

from tests.kit.peer import Listening, listening
from tests.kit.running import Running, one, request, running, until
from tests.kit.scripted import reply, scripted

ID = "X-Request-ID: i-1"
pytestmark = pytest.mark.both_loops


async def left(sidecar: Running) -> None:
    """The call is over, it is told as such, and nothing is left of it."""
    assert (await sidecar.log.call("i-1"))["outcome"] == "caller_left"
    await sidecar.until(lambda: sidecar.connections.count == 0)


@pytest.mark.parametrize("how", ["close", "reset", "half"])
async def test_while_the_upstream_thinks(how: str) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", ID))
        peer = await upstream.accept()
        await peer.request()
        if how == "half":
            caller.writer.write_eof()
        elif how == "reset":
            caller.writer.transport.abort()
        else:
            await caller.close()
        assert await peer.ended()
        await left(sidecar)


async def test_in_the_middle_of_its_own_body() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nX-Request-ID: i-1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        peer = await upstream.accept()
        await peer.request()
        await peer.receive(7)
        await caller.close()
        assert await peer.reader.read() == b""  # no last chunk
        await left(sidecar)


async def test_before_its_head_is_whole() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.1\r\nHo")
        await sidecar.until(lambda: sidecar.connections.count == 1)
        await caller.close()
        await sidecar.until(lambda: sidecar.connections.count == 0)
        assert upstream.pending() == 0


async def test_in_the_middle_of_a_stream() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", ID))
        peer = await upstream.accept()
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        await caller.head()
        await caller.exactly(b"2\r\nok\r\n")
        await caller.close()
        assert await peer.ended()
        await left(sidecar)


async def test_while_it_waits_for_the_next_try() -> None:
    keys = 'deadline = "0s"\nretry = { backoff = "1h", max_backoff = "1h" }'
    async with scripted(reply("503 No")) as upstream, running(one(upstream.url, route=keys)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", ID))
        await until(lambda: len(upstream.requests) == 1)
        await caller.close()
        await left(sidecar)
        assert len(upstream.requests) == 1


async def test_in_a_queue_whose_place_goes_to_the_next() -> None:
    queue = 'concurrency = { max = 1, queue = 5, max_wait = "1h" }'
    async with listening() as upstream, running(one(upstream.url, upstream=queue)) as sidecar:
        first, second, third = [await sidecar.caller() for _ in range(3)]
        first.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        second.send(request("/2", ID))
        await _waiting(sidecar, 1)
        third.send(request("/3"))
        await _waiting(sidecar, 2)
        await second.close()
        assert (await sidecar.log.call("i-1"))["outcome"] == "caller_left"
        peer.say(reply(body=b"1"))
        assert (await first.answer()).body == b"1"
        assert (await peer.request()).startswith(b"GET /3 ")
        peer.say(reply(body=b"3"))
        assert (await third.answer()).body == b"3"


async def test_waiting_for_a_place_in_the_pool() -> None:
    pool = 'pool = { max = 1 }\ntimeout = { connect = "1h" }'
    async with listening() as upstream, running(one(upstream.url, upstream=pool)) as sidecar:
        first, second = await sidecar.caller(), await sidecar.caller()
        first.send(request("/1"))
        peer = await upstream.accept()
        await peer.request()
        second.send(request("/2", ID))
        (service,) = sidecar.runtime.services().values()
        await until(lambda: service.pools[0].stats().waiting == 1)
        await second.close()
        assert (await sidecar.log.call("i-1"))["outcome"] == "caller_left"
        assert service.pools[0].stats().waiting == 0
        peer.say(reply(body=b"1"))
        assert (await first.answer()).body == b"1"


async def test_with_a_request_behind_the_one_that_is_served() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", ID) + request("/behind"))
        peer = await upstream.accept()
        await peer.request()
        await caller.close()
        assert await peer.ended()
        await left(sidecar)
        assert upstream.pending() == 0


async def test_a_caller_that_gives_up_after_a_second_without_any_answer_counts_against_the_target() -> None:
    breaker = "circuit_breaker = { failure_threshold = 1 }"
    async with listening() as upstream, running(one(upstream.url, upstream=breaker)) as sidecar:
        assert (await gives_up_after(0.0, upstream, sidecar))["outcome"] == "caller_left"
        assert sidecar.runtime.breakers()["a"].state == "closed"
        await gives_up_after(1.05, upstream, sidecar)
        assert sidecar.runtime.breakers()["a"].state == "open"


async def gives_up_after(seconds: float, upstream: Listening, sidecar: Running) -> dict[str, object]:
    caller = await sidecar.caller()
    caller.send(request("/", f"X-Request-ID: after-{seconds}"))
    peer = await upstream.accept()
    await peer.request()
    await asyncio.sleep(seconds)  # the patience of a caller
    await caller.close()
    return await sidecar.log.call(f"after-{seconds}")


async def _waiting(sidecar: Running, count: int) -> None:
    ((_, concurrency),) = sidecar.runtime.parts.of("concurrency")
    await until(lambda: concurrency.waiting == count)
