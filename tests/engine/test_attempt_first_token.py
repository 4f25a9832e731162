"""How long a stream may take to its first token, and what its caller's leaving says by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.llm import LlmOptions
from tests.kit.providers import DONE, ROLE, STOP, answers, completion, fails, streams, text

if TYPE_CHECKING:
    from tests.kit.providers import LlmStage, Piece

pytestmark = pytest.mark.virtual_time

WELL = ROLE + text("Hello") + STOP + DONE
PINGS: list[Piece] = [20.0, b": ping\n\n"] * 99
SILENT = streams(ROLE, *PINGS, text("late"), STOP, DONE)


async def test_pings_and_roles_are_no_token(llm_stage: LlmStage) -> None:
    llm_stage.llm(
        llm_stage.model("a", SILENT, first_token=60, tries=1), llm_stage.model("b", streams(WELL)), deadline=600
    )
    assert ((await llm_stage.ask(stream=True)).body, llm_stage.now) == (WELL, 60.0)
    assert llm_stage.lines[1:3] == ["60 a: timeout", "60 a -> b: timeout"]


async def test_the_last_target_has_the_rest_of_the_deadline(llm_stage: LlmStage) -> None:
    late = streams(ROLE, 90.0, text("late"), STOP, DONE)
    llm_stage.llm(llm_stage.model("a", late, first_token=60, tries=1), deadline=600)
    assert ((await llm_stage.ask(stream=True)).status, llm_stage.now) == (200, 90.0)


async def test_so_has_one_whose_next_rests_meanwhile(llm_stage: LlmStage) -> None:
    """Whether another attempt could follow is asked when the time is over."""
    b = llm_stage.model("b")
    late = streams(ROLE, 90.0, text("late"), STOP, DONE)
    llm_stage.llm(llm_stage.model("a", late, first_token=60, tries=1), b, deadline=600)
    asking = llm_stage.asking(stream=True)
    await llm_stage.until(30)
    b.rest.rest(llm_stage.clock() + 500, "throttled")
    assert ((await asking).call.upstream, llm_stage.now) == ("a", 90.0)


async def test_one_that_the_file_sets_always_holds(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", SILENT, first_token=40, first_token_set=True, tries=1), deadline=600)
    answer = await llm_stage.ask(stream=True)
    assert (answer.label, llm_stage.now) == ("deadline_exceeded", 40.0)


async def test_but_not_beyond_the_deadline(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", SILENT, first_token=40, first_token_set=True, tries=1), deadline=15)
    assert ((await llm_stage.ask(stream=True)).label, llm_stage.now) == ("deadline_exceeded", 15.0)


@pytest.mark.parametrize(("is_set", "moment"), [(False, 300.0), (True, 60.0)])
async def test_whoever_asks_for_reasoning_waits_longer_unless_the_file_says(
    llm_stage: LlmStage, is_set: bool, moment: float
) -> None:
    a = llm_stage.model("a", SILENT, first_token=60, first_token_set=is_set, tries=1)
    llm_stage.llm(a, llm_stage.model("b", streams(WELL)), deadline=600)
    assert (await llm_stage.ask(stream=True, reasoning_effort="high")).body == WELL
    assert llm_stage.now == moment


async def test_a_whole_answer_has_no_first_token(llm_stage: LlmStage) -> None:
    slow = answers(completion(), after=100)
    llm_stage.llm(llm_stage.model("a", slow, first_token=60, first_token_set=True), llm_stage.model("b"), deadline=600)
    assert ((await llm_stage.ask()).call.upstream, llm_stage.now) == ("a", 100.0)


async def test_the_shorter_of_both_times_ends_an_attempt(llm_stage: LlmStage) -> None:
    a = llm_stage.model("a", SILENT, first_token=60, attempt=20, tries=1)
    llm_stage.llm(a, llm_stage.model("b", streams(WELL)), deadline=600)
    assert ((await llm_stage.ask(stream=True)).body, llm_stage.now) == (WELL, 20.0)


async def test_after_its_first_token_a_stream_takes_its_time(llm_stage: LlmStage) -> None:
    slow = streams(ROLE, text("He"), 200.0, text("llo"), 200.0, STOP, DONE)
    llm_stage.llm(llm_stage.model("a", slow, first_token=60, first_token_set=True), deadline=90)
    assert ((await llm_stage.ask(stream=True)).body, llm_stage.now) == (
        WELL.replace(text("Hello"), text("He") + text("llo")),
        400.0,
    )


@pytest.mark.parametrize(
    ("asked", "left_after", "outcome"),
    [
        ({}, 59, "caller_left"),
        ({}, 61, "caller_gave_up"),
        ({"reasoning_effort": "high"}, 61, "caller_left"),
        ({"reasoning_effort": "high"}, 301, "caller_gave_up"),
    ],
)
async def test_a_caller_that_leaves_says_something_only_after_a_first_tokens_time(
    llm_stage: LlmStage, asked: dict[str, Any], left_after: float, outcome: str
) -> None:
    llm_stage.llm(llm_stage.model("a", fails(after=1000), first_token=60), deadline=600)
    asking = llm_stage.asking(**asked)
    await llm_stage.until(left_after)
    await llm_stage.leave(asking)
    assert llm_stage.transcript.of("a: ") == [f"{left_after} a: {outcome}"]


async def test_one_that_is_held_back_is_ended_by_the_deadline_alone(llm_stage: LlmStage) -> None:
    slow = streams(ROLE, text("Hello"), 200.0, STOP, DONE)
    a = llm_stage.model("a", slow, first_token=60, first_token_set=True)
    llm_stage.llm(a, llm_stage.model("b"), options=LlmOptions(stream="complete"), deadline=600)
    assert ((await llm_stage.ask(stream=True)).body, llm_stage.now) == (WELL, 200.0)


async def test_an_answer_that_says_nothing_remains_rests_its_target(llm_stage: LlmStage) -> None:
    spent = answers(completion(), x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="1h0m0s")
    llm_stage.llm(llm_stage.model("a", spent), llm_stage.model("b"))
    assert [(await llm_stage.ask()).call.upstream for _ in range(2)] == ["a", "b"]
    assert llm_stage.transcript.of("rests") == ["0 a rests 900s: throttled"]
