"""Where a call waits by our own doing, and a caller that leaves meanwhile: everything is released at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.kit.stage import limit, slots

if TYPE_CHECKING:
    from tests.kit.stage import Answer, Stage

pytestmark = pytest.mark.virtual_time

ONE = {"failure_threshold": 1}


async def test_a_call_waits_for_its_turn_in_a_rate_limit(stage: Stage) -> None:
    stage.route(stage.target("a"), limit=limit(per_minute=6, burst=1, max_wait=10))
    await stage.call()
    assert (await stage.call()).status == 200
    assert stage.now == 10.0
    assert stage.summary.waited == 10.0


async def test_a_target_s_limit_is_waited_for_too(stage: Stage) -> None:
    stage.route(stage.target("a", limit=limit(per_minute=6, burst=1, max_wait=10)), stage.target("b"))
    await stage.call()
    assert (await stage.call()).body == b"a says 200"
    assert stage.now == 10.0


async def test_who_queues_is_served_in_order(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=1s"), concurrency=slots(1, queue=3, max_wait=60))
    ended: list[str] = []

    async def one(name: str) -> None:
        await stage.call()
        ended.append(f"{stage.now:g} {name}")

    await asyncio.gather(*(one(name) for name in "abcd"))
    assert ended == ["1 a", "2 b", "3 c", "4 d"]


async def test_a_queue_has_an_end(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=1s"), concurrency=slots(1, queue=1, max_wait=60))
    answers = await asyncio.gather(*(stage.call() for _ in range(3)))
    assert [answer.label for answer in answers] == ["", "", "overloaded"]


async def test_patience_in_a_queue_has_an_end(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=60s"), concurrency=slots(1, queue=1, max_wait=5))
    first = stage.calling()
    await stage.until(1)
    second = await stage.call()
    assert (second.label, second.retry_after, stage.now) == ("overloaded", 1.0, 6.0)
    await first


async def test_a_deadline_may_be_shorter(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=3s"), concurrency=slots(1, queue=1, max_wait=60), deadline=4)
    first = stage.calling()
    await stage.until(0)
    second = stage.calling(caller_deadline=stage.clock() + 2)
    assert ((await second).label, stage.now) == ("overloaded", 2.0)
    await first


async def test_a_turn_that_comes_at_the_last_moment_is_passed_on(stage: Stage) -> None:
    """Its patience ends in the very turn of the loop in which its slot comes: the slot must not be lost."""
    stage.route(stage.target("a", "ok after=5s"), concurrency=slots(1, queue=1, max_wait=5))
    answers = await asyncio.gather(stage.call(), stage.call())
    assert answers[0].status == 200
    assert answers[1].status in (200, 503)
    assert (await stage.call()).status == 200


async def gone(stage: Stage, calling: asyncio.Task[Answer], at: float) -> list[str]:
    """Leave at that moment; what was told then."""
    await stage.until(at)
    before = len(stage.lines)
    await stage.leave(calling)
    assert stage.now == at, "at once"
    stage.everything_is_given_back()
    return stage.lines[before:]


async def test_gone_while_waiting_for_a_limit(stage: Stage) -> None:
    limited = limit(per_minute=6, burst=1, max_wait=60)
    stage.route(stage.target("a"), limit=limited)
    await stage.call()
    assert await gone(stage, stage.calling(), 3) == ["3 r = caller_left 499"]
    assert limited.bucket.take("") == pytest.approx(7.0), "it took nothing"


async def test_gone_while_waiting_in_a_queue(stage: Stage) -> None:
    room = slots(1, queue=1, max_wait=60)
    room.try_enter()
    stage.route(stage.target("a", concurrency=room))
    calling = stage.calling()
    await stage.until(3)
    await stage.leave(calling)
    assert stage.lines == ["3 r = caller_left 499"]
    assert (room.waiting, room.inflight) == (0, 1)
    room.leave()


async def test_gone_in_a_backoff(stage: Stage) -> None:
    stage.route(stage.target("a", "503 stream=x", breaker={}, backoff=5, concurrency=slots(1)), concurrency=slots(1))
    assert await gone(stage, stage.calling(), 3) == ["3 r = caller_left 499"]


async def test_gone_while_an_attempt_had_just_begun(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", breaker=ONE, concurrency=slots(1), addresses=2))
    told = await gone(stage, stage.calling(), 0.5)
    assert told == ["0.5 a: caller_left", "0.5 r = caller_left 499"]


async def test_gone_after_waiting_in_vain(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", breaker=ONE))
    told = await gone(stage, stage.calling(), 1)
    assert told == ["1 a is open", "1 a: caller_gave_up", "1 r = caller_left 499"]


async def test_gone_while_others_were_answered(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", "ok after=1s", breaker=ONE))
    calling = stage.calling()
    await stage.until(1)
    await stage.call()
    assert await gone(stage, calling, 30) == ["30 a: caller_left", "30 r = caller_left 499"]


async def test_gone_while_the_reply_was_relayed(stage: Stage) -> None:
    stage.route(stage.target("a", "ok stream=x,y every=5s", breaker=ONE, concurrency=slots(1)))
    assert await gone(stage, stage.calling(), 7) == ["7 a: ok", "7 r = caller_left 200"]


async def test_gone_gives_a_probe_back(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", "hang", "ok", breaker=ONE, tries=1))
    await stage.call()
    await stage.until(10)
    await gone(stage, stage.calling(), 10.5)
    assert (await stage.call()).status == 200


async def test_gone_and_out_of_time_at_once_is_gone(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", breaker=ONE), stage.target("b"), deadline=0.25)
    calling = stage.calling()
    await stage.until(0)
    asyncio.get_running_loop().call_at(stage.clock() + 0.25, calling.cancel)
    await asyncio.wait([calling])
    assert calling.cancelled()
    assert stage.lines == ["0 > a", "0.25 a: caller_left", "0.25 r = caller_left 499"]
