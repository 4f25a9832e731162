"""One timer: the deadline from all its sources, and an attempt's time while another could follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.call import NO_DEADLINE
from tests.kit.stage import limit, slots

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


async def test_the_routes_deadline(stage: Stage) -> None:
    stage.route(stage.target("a", "hang"), deadline=30)
    answer = await stage.call()
    assert (answer.status, answer.label, stage.now) == (504, "deadline_exceeded", 30.0)
    assert stage.lines == ["0 > a", "30 a: timeout", "30 r = deadline_exceeded 504"]


async def test_a_call_without_a_deadline_has_all_the_time(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=86400s"), deadline=NO_DEADLINE)
    assert (await stage.call()).status == 200


async def test_the_deadline_counts_from_the_start_of_the_call(stage: Stage) -> None:
    room = slots(1, queue=1, max_wait=60)
    stage.route(stage.target("a", "ok after=4s", "hang"), deadline=10, concurrency=room)
    first = stage.calling()
    await stage.until(0)
    assert (await stage.call()).label == "deadline_exceeded"
    assert ((await first).status, stage.now) == (200, 10.0)


async def test_a_late_answer_of_a_target_is_a_failure(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", breaker={"failure_threshold": 1}), deadline=0.5)
    await stage.call()
    assert stage.lines[1] == "0.5 a is open"


async def test_an_attempt_ends_where_the_next_target_may_do_better(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", attempt=20), stage.target("b"), deadline=60)
    assert (await stage.call()).body == b"b says 200"
    assert stage.lines == [
        "0 > a",
        "20 a: timeout",
        "20 a -> b: timeout",
        "20 > b",
        "20 b: ok",
        "20 r = ok 200",
    ]


async def test_a_static_link_is_no_target_left_so_the_one_there_is_gets_another_try(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", "ok", attempt=20), stage.static(), deadline=60)
    assert (await stage.call()).body == b"a says 200"


async def test_the_last_attempt_has_the_rest_of_the_deadline(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", "hang", "ok after=29s", attempt=10, backoff=5), deadline=60)
    assert (await stage.call()).status == 200
    assert stage.transcript.of(" > ", "a: ") == [
        "0 > a",
        "10 a: timeout",
        "15 > a",
        "25 a: timeout",
        "30 > a",
        "59 a: ok",
    ]


@pytest.mark.parametrize(
    "why", ["not idempotent", "no retry, no fallback", "one try, no target", "resting", "open", "off"]
)
async def test_an_attempt_has_all_the_time_if_no_other_could_follow(stage: Stage, why: str) -> None:
    a = stage.target("a", "ok after=50s", attempt=0 if why == "off" else 20, tries=1)
    b = stage.target("b", breaker={})
    assert b.service.breaker is not None
    if why == "open":
        b.service.breaker.force_open()
    if why == "resting":
        b.rest.rest(stage.clock() + 99, "throttled")
    stage.route(*([a] if why == "one try, no target" else [a, b]), deadline=60)
    off = why != "no retry, no fallback"
    answer = await stage.call(b"POST" if why == "not idempotent" else b"GET", retry=off, fallback=off)
    assert (answer.body, stage.now) == (b"a says 200", 50.0)


async def test_a_deadline_before_the_attempts_time_is_the_end(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", attempt=20), stage.target("b"), deadline=15)
    assert (await stage.call()).label == "deadline_exceeded"
    assert stage.lines == ["0 > a", "15 a: timeout", "15 r = deadline_exceeded 504"]


async def test_a_callers_own_deadline_says_nothing_of_a_target_that_answers_others(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", "ok after=1s", breaker={"failure_threshold": 1}), stage.target("b"))
    calling = stage.calling(caller_deadline=stage.clock() + 5)
    await stage.until(2)
    await stage.call()
    answer = await calling
    assert (answer.status, answer.label) == (504, "deadline_exceeded")
    assert stage.lines[-2:] == ["5 a: caller_left", "5 r = deadline_exceeded 504"]


async def test_a_callers_own_deadline_in_vain_is_a_failure(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", breaker={"failure_threshold": 1}), deadline=60)
    await stage.call(caller_deadline=stage.clock() + 1)
    assert stage.lines == ["0 > a", "1 a is open", "1 a: caller_gave_up", "1 r = deadline_exceeded 504"]


async def test_a_caller_that_has_no_patience_at_all_proves_nothing(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", breaker={"failure_threshold": 1}))
    await stage.call(caller_deadline=stage.clock() + 0.25)
    assert stage.lines == ["0 > a", "0.25 a: caller_left", "0.25 r = deadline_exceeded 504"]


async def test_the_earlier_of_both_deadlines_holds(stage: Stage) -> None:
    stage.route(stage.target("a", "hang"), deadline=3)
    await stage.call(caller_deadline=stage.clock() + 5)
    assert stage.lines[1] == "3 a: timeout"


async def test_after_evidence_a_stream_takes_its_time(stage: Stage) -> None:
    stage.route(stage.target("a", "ok stream=a,b,c every=30s", attempt=5), deadline=10)
    answer = await stage.call()
    assert (answer.body, stage.now) == (b"abc", 90.0)


async def test_a_limit_is_waited_for_at_most_so_long(stage: Stage) -> None:
    stage.route(stage.target("a"), limit=limit(per_minute=6, burst=1, max_wait=15))
    first, second, third = stage.calling(), stage.calling(), stage.calling()
    assert [(await calling).status for calling in (first, second)] == [200, 200]
    assert (await third).retry_after == 10.0, "refused at 10 s, when the second had taken the place"
    assert stage.now == 10.0


async def test_a_limit_is_not_waited_for_beyond_the_deadline(stage: Stage) -> None:
    stage.route(stage.target("a"), limit=limit(per_minute=6, burst=1, max_wait=60), deadline=5)
    await stage.call()
    assert ((await stage.call()).label, stage.now) == ("rate_limited", 0.0)


async def test_a_loop_that_counts_whole_milliseconds_does_not_blame_the_target(stage: Stage) -> None:
    """The timer fires when the clock has not quite come to the caller's deadline."""
    stage.route(stage.target("a", "hang", breaker={"failure_threshold": 1}), stage.target("b"))
    stage.engine.clock = lambda: stage.clock() - 0.0004
    await stage.call(caller_deadline=stage.clock() + 0.5)
    assert stage.lines == ["0 > a", "0.5 a: caller_left", "0.5 r = deadline_exceeded 504"]


async def test_on_such_a_loop_no_target_is_begun_at_the_very_deadline(stage: Stage) -> None:
    stage.route(stage.target("a", "hang"), stage.target("b"), deadline=0.5)
    stage.engine.clock = lambda: stage.clock() - 0.0004
    await stage.call()
    assert stage.lines == ["0 > a", "0.5 a: timeout", "0.5 r = deadline_exceeded 504"]


async def test_an_upstream_that_keeps_time_itself_may_find_the_caller_s_deadline_first(stage: Stage) -> None:
    stage.route(stage.target("a", "after=3s late", "after=0.5s late", breaker={"failure_threshold": 2}))
    assert (await stage.call()).label == "deadline_exceeded"
    assert (await stage.call()).label == "deadline_exceeded"
    assert [line.partition(": ")[2] for line in stage.transcript.of("a: ")] == ["caller_gave_up", "caller_left"]
