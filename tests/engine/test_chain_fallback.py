"""The next target: when it is asked, what a static link does, how traffic is split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


def sent(stage: Stage) -> list[str]:
    return [line.split(" > ")[1] for line in stage.transcript.of(" > ")]


async def test_the_next_target_serves_what_the_first_could_not(stage: Stage) -> None:
    stage.route(stage.target("a", "no-connection", tries=1), stage.target("b"))
    answer = await stage.call(b"POST")
    assert (answer.body, answer.call.upstream, answer.call.attempts) == (b"b says 200", "b", 2)
    assert stage.lines == [
        "0 > a",
        "0 a: connect_failed",
        "0 a -> b: connect_failed",
        "0 > b",
        "0 b: ok",
        "0 r = ok 200",
    ]


async def test_a_good_answer_is_the_end_of_it(stage: Stage) -> None:
    stage.route(stage.target("a", "404"), stage.target("b"))
    assert (await stage.call()).body == b"a says 404"
    assert sent(stage) == ["a"]


async def test_a_call_that_may_have_been_carried_out_goes_nowhere_else(stage: Stage) -> None:
    stage.route(stage.target("a", "reset"), stage.target("b"))
    assert (await stage.call(b"POST")).label == "upstream_reset"
    assert sent(stage) == ["a"]


async def test_fallback_off_means_the_first_target_only(stage: Stage) -> None:
    a = stage.target("a", "503", breaker={"failure_threshold": 2})
    stage.route(a, stage.target("b"), stage.static())
    assert (await stage.call(fallback=False)).body == b"a says 503"
    assert (await stage.call(fallback=False)).label == "circuit_open"
    assert sent(stage) == ["a", "a"]


async def test_a_skipped_target_is_a_fallback_too(stage: Stage) -> None:
    a = stage.target("a")
    a.rest.rest(stage.clock() + 99, "throttled")
    stage.route(a, stage.target("b"))
    await stage.call()
    assert stage.lines[0] == "0 a -> b: rate_limited"


async def test_a_static_link_answers_whatever_came_before(stage: Stage) -> None:
    stage.route(stage.target("a", "503", tries=1), stage.target("b", "reset", tries=1), stage.static())
    answer = await stage.call()
    assert (answer.status, answer.body, answer.call.upstream, answer.call.attempts) == (
        503,
        b"sorry",
        "static/sorry",
        2,
    )
    assert stage.lines[-2:] == ["0 b -> static/sorry: reset", "0 r = reset 503"]


async def test_a_static_link_answers_where_nothing_may_be_tried_again(stage: Stage) -> None:
    stage.route(stage.target("a", "reset"), stage.target("b"), stage.static())
    assert (await stage.call(b"POST")).body == b"sorry"
    assert stage.lines[-2:] == ["0 a -> static/sorry: reset", "0 r = reset 503"]


async def test_a_static_link_answers_when_attempts_are_used_up(stage: Stage) -> None:
    stage.route(stage.target("a", "503", max_attempts=1), stage.target("b"), stage.static())
    assert (await stage.call()).body == b"sorry"
    assert sent(stage) == ["a"]


async def test_a_static_link_does_not_replace_an_answer_that_must_not_be_repeated(stage: Stage) -> None:
    stage.route(stage.target("a", "500"), stage.static())
    assert (await stage.call(b"POST")).body == b"a says 500"


async def test_a_static_link_where_every_target_was_skipped(stage: Stage) -> None:
    a = stage.target("a")
    a.rest.rest(stage.clock() + 9, "throttled")
    stage.route(a, stage.static())
    assert (await stage.call()).body == b"sorry"
    assert stage.lines == ["0 a -> static/sorry: rate_limited", "0 r = rate_limited 503"]


async def test_a_route_may_be_nothing_but_a_static_answer(stage: Stage) -> None:
    stage.route(stage.static(status=418))
    assert (await stage.call(fallback=False)).status == 418
    assert stage.lines == ["0 r = ok 418"]


async def test_traffic_is_split_by_weight_then_falls_back_in_order(stage: Stage) -> None:
    stage.route(*(stage.target(name, "reset", tries=1) for name in "abc"), weights=(1.0, 2.0, 1.0))
    for chance in (0.0, 0.249, 0.25, 0.74, 0.75, 0.999):
        stage.chance = chance
        await stage.call()
    orders = ["".join(sent(stage)[at : at + 3]) for at in range(0, 18, 3)]
    assert orders == ["abc", "abc", "bac", "bac", "cab", "cab"]


async def test_dice_that_show_too_much_are_no_crash(stage: Stage) -> None:
    stage.route(stage.target("a"), stage.target("b"), weights=(1.0, 1.0))
    stage.chance = 1.0
    assert (await stage.call()).body == b"a says 200"
