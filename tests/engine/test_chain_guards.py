"""Before an attempt: rest, rate limit, slot, permit, in this order; a refusal of ours means the next target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.stage import limit, slots

if TYPE_CHECKING:
    from sidecar.engine.route import Target
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time

OPEN = {"failure_threshold": 1}


async def opened(stage: Stage, target: Target) -> None:
    """Let its breaker open: its script begins with a reset."""
    stage.route(target)
    await stage.call(retry=False)
    stage.lines.clear()


def why_skipped(stage: Stage) -> list[str]:
    return [f"{step.target}: {step.outcome}" for step in stage.summary.steps if step.kind == "skip"]


async def test_a_resting_target_is_not_asked_for_a_place(stage: Stage) -> None:
    limited, room = limit(per_minute=60, burst=1), slots(1)
    target = stage.target("a", "reset", breaker=OPEN, limit=limited, concurrency=room)
    target.rest.rest(stage.clock() + 9, "throttled")
    stage.route(target, stage.target("b"))
    assert (await stage.call()).status == 200
    assert why_skipped(stage) == ["a: rate_limited"]
    assert limited.bucket.take("") == 0.0, "its rate limit was not drawn on"


async def test_a_full_limit_comes_before_the_slot(stage: Stage) -> None:
    room = slots(1)
    target = stage.target("a", limit=limit(per_minute=60, burst=1), concurrency=room)
    stage.route(target, stage.target("b"))
    await stage.call()
    room.try_enter()
    await stage.call()
    assert why_skipped(stage) == ["a: rate_limited"]
    assert "0 r: over the limit" in stage.lines
    room.leave()


async def test_a_full_bulkhead_comes_before_the_breaker(stage: Stage) -> None:
    room = slots(1)
    target = stage.target("a", "reset", breaker=OPEN, concurrency=room)
    await opened(stage, target)
    await stage.until(10)
    stage.route(target, stage.target("b"))
    room.try_enter()
    await stage.call()
    assert why_skipped(stage) == ["a: overloaded"]
    assert stage.transcript.of(" is ") == [], "no probe was taken"
    room.leave()


async def test_an_open_breaker_comes_last_and_gives_the_slot_back(stage: Stage) -> None:
    target = stage.target("a", "reset", breaker=OPEN, concurrency=slots(1))
    await opened(stage, target)
    stage.route(target, stage.target("b"))
    for _ in range(2):
        assert (await stage.call()).call.upstream == "b"
        assert why_skipped(stage) == ["a: circuit_open"]
    assert stage.lines == ["0 a -> b: circuit_open", "0 > b", "0 b: ok", "0 r = ok 200"] * 2


async def test_a_refusal_of_ours_is_not_heard_by_the_breaker(stage: Stage) -> None:
    target = stage.target("a", breaker=OPEN, limit=limit(per_minute=60, burst=1))
    stage.route(target)
    assert [(await stage.call()).label for _ in range(4)] == ["", "rate_limited", "rate_limited", "rate_limited"]
    assert stage.transcript.of(" is ") == []


async def test_a_queue_never_holds_a_probe(stage: Stage) -> None:
    """Who waits for a slot has no permit: the probe that is in flight gives its place to whom comes next."""
    room = slots(1, queue=5, max_wait=60)
    target = stage.target("a", "reset", "ok after=2s", breaker=OPEN, concurrency=room, tries=1)
    await opened(stage, target)
    await stage.until(10)
    stage.route(target)
    probe, waiting = stage.calling(), stage.calling()
    assert [(await probe).status, (await waiting).status] == [200, 200]
    assert stage.transcript.of(" is ") == ["10 a is half_open", "12 a is closed"]


async def test_each_try_asks_again(stage: Stage) -> None:
    target = stage.target("a", "reset", limit=limit(per_minute=60, burst=2), concurrency=slots(1), backoff=0.25)
    stage.route(target)
    answer = await stage.call()
    assert answer.label == "upstream_reset", "what the target did counts, not that we would not ask it a third time"
    assert stage.lines == [
        "0 > a",
        "0 a: reset",
        "0 a again: reset",
        "0.25 > a",
        "0.25 a: reset",
        "0.25 a again: reset",
        "0.75 r: over the limit",
        "0.75 r = upstream_reset 502",
    ]


async def test_a_failure_that_opens_the_breaker_ends_the_tries_at_once(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", breaker={"failure_threshold": 2}), stage.target("b"))
    assert (await stage.call()).status == 200
    assert stage.lines == [
        "0 > a",
        "0 a: reset",
        "0 a again: reset",
        "1 > a",
        "1 a is open",
        "1 a: reset",
        "1 a -> b: reset",
        "1 > b",
        "1 b: ok",
        "1 r = ok 200",
    ]


async def test_a_breaker_that_others_open_meanwhile_ends_the_tries(stage: Stage) -> None:
    a = stage.target("a", "reset", breaker={"failure_threshold": 2})
    stage.route(a, stage.target("b"))
    call = stage.calling()
    await stage.until(0.5)
    assert a.service.breaker is not None
    a.service.breaker.force_open()
    assert (await call).status == 200
    assert stage.lines[2:5] == ["0 a again: reset", "0.5 a is open", "1 a -> b: circuit_open"]


async def test_without_any_guard_all_is_allowed(stage: Stage) -> None:
    stage.route(stage.target("a"))
    assert [(await stage.call()).status for _ in range(3)] == [200] * 3
