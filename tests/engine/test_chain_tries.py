"""The same target again: how often, after what wait, and who pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.policy.budget import RetryBudget

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


def sent(stage: Stage) -> list[str]:
    """When which target was asked."""
    return [line.replace(" > ", " ") for line in stage.transcript.of(" > ")]


async def test_three_tries_with_a_growing_backoff(stage: Stage) -> None:
    stage.route(stage.target("a", "503"))
    answer = await stage.call()
    assert (answer.status, answer.body) == (503, b"a says 503")
    assert stage.lines == [
        "0 > a",
        "0 a: server_error",
        "0 a again: server_error",
        "1 > a",
        "1 a: server_error",
        "1 a again: server_error",
        "3 > a",
        "3 a: server_error",
        "3 r = server_error 503",
    ]


async def test_the_second_try_may_do(stage: Stage) -> None:
    stage.route(stage.target("a", "503", "ok"))
    answer = await stage.call()
    assert (answer.status, answer.call.attempts) == (200, 2)


async def test_jitter_is_a_share_to_both_sides(stage: Stage) -> None:
    stage.route(stage.target("a", "503", "ok", jitter=0.5))
    stage.chance = 0.0
    await stage.call()
    stage.upstreams["a"].script = ["503", "ok"]
    stage.chance = 1.0
    await stage.call()
    assert sent(stage) == ["0 a", "0.5 a", "0.5 a", "2 a"]


async def test_one_attempt_is_kept_for_each_target_still_to_come(stage: Stage) -> None:
    a, b, c = (stage.target(name, "503", tries=3, max_attempts=4) for name in "abc")
    stage.route(a, b, c)
    answer = await stage.call()
    assert sent(stage) == ["0 a", "1 a", "1 b", "1 c"]
    assert answer.call.attempts == 4


async def test_a_static_link_takes_no_attempt(stage: Stage) -> None:
    stage.route(stage.target("a", "503", max_attempts=3), stage.static())
    assert (await stage.call()).body == b"sorry"
    assert sent(stage) == ["0 a", "1 a", "3 a"]


async def test_attempts_may_end_before_the_chain_does(stage: Stage) -> None:
    stage.route(stage.target("a", "503", max_attempts=1), stage.target("b"))
    assert (await stage.call()).body == b"a says 503"
    assert sent(stage) == ["0 a"]


async def test_a_call_that_is_not_idempotent_is_not_sent_twice(stage: Stage) -> None:
    stage.route(stage.target("a", "503"), stage.target("b"))
    assert (await stage.call(b"POST")).body == b"a says 503"
    assert sent(stage) == ["0 a"]


async def test_nothing_is_tried_again_if_the_caller_forbids_it(stage: Stage) -> None:
    stage.route(stage.target("a", "503"), stage.target("b", "503"))
    assert (await stage.call(retry=False)).body == b"a says 503"
    assert sent(stage) == ["0 a", "0 b"], "fallback is another thing"


async def test_no_try_that_the_deadline_would_cut(stage: Stage) -> None:
    stage.route(stage.target("a", "503", backoff=2), deadline=2)
    assert (await stage.call()).status == 503
    assert (sent(stage), stage.now) == (["0 a"], 0.0)


async def test_a_retry_pays_and_a_fallback_does_not(stage: Stage) -> None:
    budget = RetryBudget(0.0, 0.1, stage.clock)  # one retry in 10 s
    stage.route(stage.target("a", "503", budget=budget), stage.target("b"))
    await stage.call()
    assert sent(stage) == ["0 a", "1 a", "1 b"]
    assert "1 a: no budget" in stage.lines


async def test_an_empty_budget_means_one_attempt_per_target(stage: Stage) -> None:
    empty = RetryBudget(0.0, 0.0, stage.clock)
    stage.route(stage.target("a", "503", budget=empty), stage.target("b", "503", budget=empty))
    assert (await stage.call()).body == b"a says 503"
    assert stage.lines == [
        "0 > a",
        "0 a: server_error",
        "0 a: no budget",
        "0 a -> b: server_error",
        "0 > b",
        "0 b: server_error",
        "0 b: no budget",
        "0 r = server_error 503",
    ]


async def test_calls_fill_the_budget_and_retries_do_not(stage: Stage) -> None:
    budget = RetryBudget(0.5, 0.0, stage.clock)
    stage.route(stage.target("a", "ok", "ok", "503", budget=budget))
    for _ in range(3):
        await stage.call()
    assert sent(stage) == ["0 a", "0 a", "0 a", "1 a"], "three calls pay for one retry"
    assert budget.balance == 0.5


async def test_a_caller_that_retries_draws_and_is_never_refused(stage: Stage) -> None:
    budget = RetryBudget(0.0, 0.2, stage.clock)
    stage.route(stage.target("a", budget=budget))
    for _ in range(3):
        assert (await stage.call(retrying=True)).status == 200
    assert budget.balance == -1.0


async def test_a_stale_connection_is_replaced_at_once_and_not_counted(stage: Stage) -> None:
    empty = RetryBudget(0.0, 0.0, stage.clock)
    stage.route(stage.target("a", "stale", "ok", breaker={"failure_threshold": 1}, budget=empty, tries=1))
    answer = await stage.call(b"POST")
    assert (answer.status, answer.call.attempts) == (200, 1)
    assert stage.lines == ["0 > a", "0 a: stale_connection", "0 > a fresh", "0 a: ok", "0 r = ok 200"]
    assert answer.call.should_retry is None


async def test_it_is_replaced_though_the_caller_forbids_retries(stage: Stage) -> None:
    stage.route(stage.target("a", "stale", "ok"))
    assert (await stage.call(retry=False, fallback=False)).status == 200


async def test_a_fresh_connection_that_is_stale_too_is_a_reset(stage: Stage) -> None:
    stage.route(stage.target("a", "stale"))
    assert (await stage.call()).label == "upstream_reset"
    assert sent(stage) == ["0 a", "0 a fresh"]


async def test_a_connection_that_died_after_a_byte_was_written_is_replaced_once(stage: Stage) -> None:
    stage.route(stage.target("a", "stale-written"), stage.target("b"))
    answer = await stage.call()
    assert sent(stage) == ["0 a", "0 a fresh", "0 b"]
    assert answer.call.attempts == 3


async def test_it_is_not_replaced_for_a_call_that_is_not_idempotent(stage: Stage) -> None:
    stage.route(stage.target("a", "stale-written"), stage.target("b"))
    assert (await stage.call(b"POST")).label == "upstream_reset"
    assert sent(stage) == ["0 a"]


async def test_a_gateway_that_saw_no_body_is_asked_once_more(stage: Stage) -> None:
    stage.route(stage.target("a", "400 sign=false_empty_body"))
    assert (await stage.call(b"POST", body=b"{}")).status == 400
    assert sent(stage) == ["0 a", "0 a fresh"]


async def test_callers_are_told_to_leave_retrying_to_us(stage: Stage) -> None:
    stage.route(stage.target("a", "503"))
    assert (await stage.call()).call.should_retry is False


async def test_one_failure_of_ours_is_no_reason_to_tell_them(stage: Stage) -> None:
    stage.route(stage.target("a", "503", tries=1))
    assert (await stage.call()).call.should_retry is None


async def test_where_money_ran_out_nobody_needs_to_try(stage: Stage) -> None:
    stage.route(stage.target("a", "402 sign=out_of_money"))
    assert (await stage.call(b"POST")).call.should_retry is False
