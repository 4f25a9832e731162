"""A target that says when to come back: rows 8 to 10, rests, and what happens when all targets rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


def sent(stage: Stage) -> list[str]:
    return [line.replace(" > ", " ") for line in stage.transcript.of(" > ")]


async def test_a_short_wait_is_waited_out_though_another_target_is_left(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=4", "ok"), stage.target("b"))
    assert (await stage.call(b"POST")).body == b"a says 200"
    assert stage.lines == [
        "0 > a",
        "0 a rests 4s: throttled",
        "0 a: throttled",
        "0 a again: throttled",
        "4 > a",
        "4 a: ok",
        "4 r = ok 200",
    ]


async def test_a_longer_one_is_not(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=6"), stage.target("b"))
    assert (await stage.call(b"POST")).body == b"b says 200"
    assert sent(stage) == ["0 a", "0 b"]


async def test_unless_no_other_target_is_left(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=60", "ok"))
    assert (await stage.call(b"POST")).status == 200
    assert sent(stage) == ["0 a", "60 a"]


async def test_another_target_that_rests_or_is_open_is_not_left(stage: Stage) -> None:
    b = stage.target("b", "reset", breaker={"failure_threshold": 1, "recovery_first": 60})
    c = stage.target("c")
    stage.route(b)
    await stage.call(retry=False)
    c.rest.rest(stage.clock() + 60, "throttled")
    stage.route(stage.target("a", "429 retry-after=30", "ok"), b, c)
    assert (await stage.call()).body == b"a says 200"
    assert sent(stage) == ["0 b", "0 a", "30 a"]


async def test_more_than_max_retry_after_is_passed_on_to_the_caller(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=61"))
    assert (await stage.call()).body == b"a says 429"
    assert stage.now == 0.0


async def test_a_wait_beyond_the_deadline_is_not_begun(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=30"), deadline=30)
    assert (await stage.call()).body == b"a says 429"
    assert stage.now == 0.0


async def test_jitter_only_adds_to_a_wait_that_was_told(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=10", "ok", jitter=0.5))
    await stage.call()
    assert sent(stage) == ["0 a", "12.5 a"]


async def test_a_negative_pushback_forbids_another_try_here(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=-1"), stage.target("b"))
    assert (await stage.call()).body == b"b says 200"
    assert stage.transcript.of("rests") == []


async def test_a_429_that_tells_nothing_is_backed_off_from(stage: Stage) -> None:
    stage.route(stage.target("a", "429", "ok"))
    assert (await stage.call(b"POST")).status == 200
    assert sent(stage) == ["0 a", "1 a"]


async def test_an_unavailable_target_is_waited_for_only_by_calls_that_may_be_repeated(stage: Stage) -> None:
    stage.route(stage.target("a", "503 retry-after=2", "ok", "503 retry-after=2"))
    assert [(await stage.call()).status, (await stage.call(b"POST")).status] == [200, 503]
    assert sent(stage) == ["0 a", "2 a", "2 a"]
    assert len(stage.transcript.of("rests")) == 2, "it rests for all, whoever was told"


async def test_who_rests_is_skipped_by_all_calls_until_the_moment(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=20", "ok"), stage.target("b"))
    for moment in (0, 19, 20):
        await stage.until(moment)
        await stage.call()
    assert sent(stage) == ["0 a", "0 b", "19 b", "20 a"]


async def test_a_rest_is_at_most_max_rest_long(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=9999", "ok", max_rest=30), stage.target("b"))
    for moment in (0, 29, 30):
        await stage.until(moment)
        await stage.call()
    assert sent(stage) == ["0 a", "0 b", "29 b", "30 a"]


async def test_another_call_may_lengthen_the_rest_that_a_retry_waits_for(stage: Stage) -> None:
    stage.route(stage.target("a", "429 after=1s retry-after=3", "429 after=1s retry-after=30"), stage.target("b"))
    both = stage.calling(), stage.calling()
    answers = [await calling for calling in both]
    assert [answer.body for answer in answers] == [b"b says 200", b"b says 200"]
    assert sent(stage) == ["0 a", "0 a", "1 b", "4 b"]


async def test_when_all_rest_the_call_waits_for_the_soonest(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=9", "ok"), stage.target("b", "429 retry-after=7", "ok"))
    first = await stage.call(retry=False)
    assert (first.body, first.call.upstream) == (b"a says 429", "a")
    second = await stage.call()
    assert (second.body, second.call.attempts) == (b"b says 200", 1)
    assert sent(stage) == ["0 a", "0 b", "7 b"]
    assert [
        (step.kind, step.target, step.seconds, step.why) for step in stage.summary.steps if step.kind == "wait"
    ] == [("wait", "", 7.0, "rest")]


async def test_the_soonest_may_be_any_of_them(stage: Stage) -> None:
    stage.route(*(stage.target(name, f"429 retry-after={wait}", "ok") for name, wait in (("a", 7), ("b", 9))))
    await stage.call(retry=False)
    assert (await stage.call()).body == b"a says 200"
    assert stage.now == 7.0


async def test_it_waits_at_most_max_retry_after_and_then_tells_the_least(stage: Stage) -> None:
    stage.route(stage.target("a", "429 retry-after=90"), stage.target("b", "429 retry-after=80"))
    await stage.call()
    await stage.until(10)
    refused = await stage.call()
    assert (refused.status, refused.label, refused.retry_after) == (429, "rate_limited", 70.0)
    assert stage.now == 10.0


async def test_max_retry_after_holds_for_all_its_waits_together(stage: Stage) -> None:
    target = stage.target("a")
    stage.route(target)
    target.rest.rest(stage.clock() + 40, "throttled")
    calling = stage.calling()
    await stage.until(39)
    target.rest.rest(stage.clock() + 25, "throttled")
    refused = await calling
    assert (refused.label, refused.retry_after, stage.now) == ("rate_limited", 24.0, 40.0)


async def test_it_does_not_wait_beyond_its_deadline(stage: Stage) -> None:
    target = stage.target("a")
    target.rest.rest(stage.clock() + 5, "throttled")
    stage.route(target, deadline=5)
    refused = await stage.call()
    assert (refused.label, refused.retry_after, stage.now) == ("rate_limited", 5.0, 0.0)


async def test_a_caller_that_leaves_while_all_rest_is_gone(stage: Stage) -> None:
    target = stage.target("a")
    target.rest.rest(stage.clock() + 5, "throttled")
    stage.route(target)
    calling = stage.calling()
    await stage.until(1)
    await stage.leave(calling)
    assert stage.lines == ["1 r = caller_left 499"]


@pytest.mark.parametrize(
    ("cause", "status", "label"),
    [
        ("throttled", 429, "rate_limited"),
        ("unavailable", 429, "rate_limited"),
        ("out_of_money", 429, "rate_limited"),
        ("auth_failed", 502, "upstream_auth_failed"),
        ("unhealthy", 502, "upstream_connect_failed"),
    ],
)
async def test_a_rest_answers_with_the_code_of_its_cause(stage: Stage, cause: str, status: int, label: str) -> None:
    target = stage.target("a")
    target.rest.rest(stage.clock() + 70, cause)
    stage.route(target)
    answer = await stage.call()
    assert (answer.status, answer.label, answer.retry_after) == (status, label, 70.0)


async def test_one_rest_of_another_cause_and_nobody_waits(stage: Stage) -> None:
    a, b = stage.target("a"), stage.target("b")
    a.rest.rest(stage.clock() + 5, "throttled")
    b.rest.rest(stage.clock() + 9, "auth_failed")
    stage.route(a, b)
    answer = await stage.call()
    assert (answer.label, answer.retry_after, stage.now) == ("rate_limited", 5.0, 0.0)


async def test_if_the_rest_was_over_meanwhile_the_next_round_finds_it(stage: Stage) -> None:
    """Two calls wait for the same moment; both get their turn."""
    target = stage.target("a")
    target.rest.rest(stage.clock() + 5, "unavailable")
    stage.route(target)
    answers = await asyncio.gather(stage.call(), stage.call())
    assert [answer.status for answer in answers] == [200, 200]
    assert sent(stage) == ["5 a", "5 a"]
