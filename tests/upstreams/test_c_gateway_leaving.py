"""Whoever gives up, and whenever: c-gateway says its answer to the end, and the slot is free only then."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from sidecar.body import Body
from tests.kit.caller import PATIENCE
from tests.kit.gateway import OneAttempt, gateway, service_to
from tests.kit.running import until
from tests.kit.stage import Stage, a_call, slots

if TYPE_CHECKING:
    from sidecar.call import Reply
    from sidecar.wiring import HttpService

pytestmark = pytest.mark.both_loops

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n"


async def left(task: asyncio.Task[Reply]) -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


def active(service: HttpService) -> int:
    return sum(pool.stats().active + pool.stats().connecting for pool in service.pools)


@pytest.mark.parametrize("turns", range(12))
async def test_a_connection_is_written_to_or_closed_whenever_the_caller_leaves(turns: int) -> None:
    """One that is open and silent would stop the whole gateway."""
    async with gateway() as server:
        service, attempt = service_to(server.url), OneAttempt()
        sending = asyncio.create_task(service.upstream.send(a_call(), attempt))
        for _ in range(turns):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
        sending = asyncio.create_task(service.upstream.send(a_call(b"GET", b"/next"), OneAttempt()))
        served = await server.next()
        if b"/next" not in served.request:
            assert served.request == b"" or served.request.startswith(b"GET / HTTP/1.1\r\n")
            if served.request:
                assert attempt.held
                served.say(HEAD)
                served.say(b"answer")
                await attempt.until_free()
            served.close()
            served = await server.next()
        served.say(HEAD)
        served.say(b"answer")
        assert (await sending).status == 200
        assert not attempt.held
        gc.collect()  # a socket that was forgotten is told now


async def test_the_caller_leaves_while_the_body_is_still_coming() -> None:
    async with gateway() as server:
        service = service_to(server.url)
        never = asyncio.get_running_loop().create_future()
        sending = asyncio.create_task(service.upstream.send(a_call(body=Body(lambda: never, length=5)), OneAttempt()))
        await asyncio.sleep(0)
        await left(sending)
        never.cancel()
        assert server.nobody_came()
        assert active(service) == 0


@pytest.mark.parametrize("said", [(), (HEAD,), (HEAD, b"ans")])
async def test_the_answer_is_heard_to_its_end_after_the_caller_left(said: tuple[bytes, ...]) -> None:
    async with gateway() as server:
        service, attempt = service_to(server.url), OneAttempt()
        sending = asyncio.create_task(service.upstream.send(a_call(), attempt))
        served = await server.next()
        for data in said:
            served.say(data)
        if said:
            reply = await sending
            assert reply.closer is not None
            reply.closer.close()
            reply.closer.close()
        else:
            await left(sending)
        for data in (HEAD, b"ans", b"wer")[len(said) :]:
            assert (attempt.held, active(service)) == (True, 1)
            served.say(data)
            await asyncio.sleep(0.002)
        await attempt.until_free()
        await served.leaves()
        assert active(service) == 0


async def test_who_leaves_a_gateway_that_closes_without_an_answer() -> None:
    async with gateway() as server:
        attempt = OneAttempt()
        sending = asyncio.create_task(service_to(server.url).upstream.send(a_call(), attempt))
        served = await server.next()
        await left(sending)
        served.reset()
        await attempt.until_free()


async def test_an_answer_that_was_read_holds_nothing() -> None:
    async with gateway() as server:
        service, attempt = service_to(server.url), OneAttempt()
        sending = asyncio.create_task(service.upstream.send(a_call(), attempt))
        served = await server.next()
        served.say(HEAD + b"answer")
        reply = await sending
        assert (reply.whole, attempt.held, active(service)) == (b"answer", False, 0)


async def test_a_reload_lets_them_finish_and_the_end_of_the_process_does_not() -> None:
    async with gateway() as server:
        service = service_to(server.url)
        attempts = [OneAttempt(), OneAttempt()]
        for attempt in attempts:
            sending = asyncio.create_task(service.upstream.send(a_call(), attempt))
            served = await server.next()
            await left(sending)
            await service.aclose()
            assert not served.left()
            if attempt is attempts[0]:
                served.say(HEAD)
                served.say(b"answer")
            else:
                service.cut()
                await served.leaves()
            await attempt.until_free()


async def test_an_attempt_whose_time_is_out_leaves_the_next_one_waiting_for_the_answer() -> None:
    """Under the engine: the one slot is the whole gateway, and a request more would only stand in line."""
    async with gateway() as server:
        stage = Stage()
        place = slots(1, queue=64, max_wait=PATIENCE)
        target = stage.target("a", attempt=0.3, concurrency=place, tries=2, backoff=0)
        target.service.upstream = service_to(server.url).upstream
        stage.route(target, stage.target("b"), deadline=PATIENCE)
        late = stage.calling()
        served = await server.next()
        answer = await late
        assert answer.body == b"b says 200"
        assert place.inflight == 1
        second = stage.calling()
        await until(lambda: place.waiting == 1)
        assert server.nobody_came()
        served.say(HEAD)
        served.say(b"answer")
        served.close()
        served = await server.next()
        served.say(HEAD + b"second")
        assert (await second).body == b"second"
        assert (place.inflight, place.waiting) == (0, 0)


async def test_a_caller_that_leaves_in_the_middle_of_an_answer_under_the_engine() -> None:
    async with gateway() as server:
        stage = Stage()
        place = slots(1, queue=64, max_wait=PATIENCE)
        target = stage.target("a", concurrency=place)
        target.service.upstream = service_to(server.url).upstream
        stage.route(target)
        calling = stage.calling()
        served = await server.next()
        served.say(HEAD + b"ans")
        await until(lambda: target.service.answered_at > 0)
        calling.cancel()
        await asyncio.wait([calling])
        assert place.inflight == 1
        served.say(b"wer")
        await served.leaves()
        assert place.inflight == 0
