"""`stream = "complete"`: nothing is given before the answer is whole, so whatever goes wrong is mended elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.body import ReplayMemory
from sidecar.llm import Dialect, LlmOptions
from sidecar.upstreams.llm_stream import LONGEST_COMPLETE
from tests.kit.llm_events import chunk
from tests.kit.providers import CUT, DONE, ROLE, STARTS, STOP, LlmStage, asks, event, streams, text, word
from tests.kit.stage import limit as a_limit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.providers import Piece

pytestmark = pytest.mark.virtual_time

HELD = LlmOptions(stream="complete")
WELL = ROLE + text("Hello") + STOP + DONE
OVERLOADED = event({"error": {"message": "busy", "type": "server_error", "code": "server_is_overloaded"}})
PIECE = text("x" * 65_000)


@pytest.fixture
async def stage() -> AsyncIterator[LlmStage]:
    made = LlmStage()
    yield made
    made.everything_is_given_back()


async def test_the_answer_comes_at_its_end_byte_for_byte(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(ROLE, 5.0, text("Hello"), 5.0, b": ping\n\n", STOP, DONE)), options=HELD)
    answer = await stage.ask(stream=True)
    assert answer.body == ROLE + text("Hello") + b": ping\n\n" + STOP + DONE
    assert stage.summary.ttfb == 10.0


@pytest.mark.parametrize("last", [CUT, OVERLOADED, DONE, b"", None], ids=["reset", "error", "done", "end", "silence"])
async def test_a_break_anywhere_is_mended_by_the_next_target(stage: LlmStage, last: Piece) -> None:
    told = (ROLE, text("Never "), text("seen"), last)
    stage.llm(stage.model("a", streams(*told), tries=1), stage.model("b", streams(WELL)), options=HELD)
    answer = await stage.ask(stream=True)
    assert (answer.body, answer.call.upstream, answer.broke) == (WELL, "b", False)


@pytest.mark.parametrize("last", [CUT, DONE, None], ids=["reset", "done", "silence"])
async def test_what_a_broken_answer_has_cost_was_wasted(stage: LlmStage, last: Piece) -> None:
    limit = a_limit(tokens_per_minute=10_000)
    first = streams(ROLE, text("Hel"), text("lo"), last)
    stage.llm(stage.model("a", first, tries=1, limit=limit), stage.model("b", streams(WELL)), options=HELD)
    answer = await stage.ask(stream=True)
    (wasted,) = stage.transcript.of("wasted")
    assert wasted.endswith(" a wasted 0+2")
    assert answer.call.llm is not None
    assert limit.bucket.quotas("")[0].remaining >= 10_000 - answer.call.llm.estimate


async def test_what_a_caller_did_not_wait_for_was_wasted(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(ROLE, text("Hel"), text("lo"), None)), options=HELD)
    asking = stage.asking(stream=True)
    await stage.until(5)
    await stage.leave(asking)
    assert stage.transcript.of("wasted", "spent") == ["5 a wasted 0+2"]


async def test_an_error_in_the_middle_has_its_status_and_what_came_before_it_was_wasted(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(ROLE, text("Hel"), text("lo"), OVERLOADED), tries=1), options=HELD)
    answer = await stage.ask(stream=True)
    assert (answer.status, answer.body) == (503, OVERLOADED.removeprefix(b"data: ").strip())
    assert stage.transcript.of("wasted") == ["0 a wasted 0+2"]


async def test_its_first_token_ends_the_clock_for_it(stage: LlmStage) -> None:
    slow = streams(2.0, ROLE, text("Hello"), 200.0, STOP, DONE)
    stage.llm(stage.model("a", slow, first_token=60, first_token_set=True), stage.model("b"), options=HELD)
    assert ((await stage.ask(stream=True)).status, stage.now) == (200, 202.0)


async def test_the_deadline_still_counts(stage: LlmStage) -> None:
    stage.llm(stage.model("a", streams(ROLE, text("Hi"), None)), options=HELD, deadline=30)
    answer = await stage.ask(stream=True)
    assert (answer.label, stage.now) == ("deadline_exceeded", 30.0)


async def test_one_of_nine_mebibytes_goes_on_live(stage: LlmStage) -> None:
    many = LONGEST_COMPLETE // len(PIECE) + 20
    stage.llm(stage.model("a", streams(ROLE, *([PIECE] * many), 7.0, STOP, DONE)), options=HELD)
    answer = await stage.ask(stream=True)
    assert answer.body == ROLE + PIECE * many + STOP + DONE
    assert (stage.summary.ttfb, stage.now) == (0.0, 7.0)


async def test_what_is_held_back_counts_in_the_memory_of_all_calls(stage: LlmStage) -> None:
    memory = ReplayMemory(3 * len(PIECE))
    stage.llm(stage.model("a", streams(PIECE, PIECE, 1.0, PIECE, PIECE, 6.0, STOP, DONE)), options=HELD)
    asking = stage.asking(stream=True, memory=memory)
    await stage.until(0.5)
    assert memory.used == 2 * len(PIECE)
    answer = await asking
    assert (answer.body, stage.summary.ttfb) == (PIECE * 4 + STOP + DONE, 1.0)
    assert memory.used == 0


async def test_it_counts_until_the_caller_has_taken_it(stage: LlmStage) -> None:
    """Till then it lies in front of a caller that may be slow."""
    memory = ReplayMemory(1 << 20)
    stage.llm(stage.model("a", streams(PIECE, STOP + DONE)), options=HELD)
    async with stage.engine.exchange(asks(stream=True, memory=memory)) as reply:
        assert reply.chunks is not None
        assert await anext(reply.chunks) == PIECE + STOP + DONE
        assert memory.used == len(PIECE)
        assert [chunk async for chunk in reply.chunks] == []
        assert memory.used == 0


async def test_an_answer_that_nobody_takes_gives_the_memory_back(stage: LlmStage) -> None:
    memory = ReplayMemory(1 << 20)
    stage.llm(stage.model("a", streams(PIECE, STOP + DONE)), options=HELD)
    async with stage.engine.exchange(asks(stream=True, memory=memory)):
        assert memory.used == len(PIECE)
    assert memory.used == 0


async def test_a_caller_that_leaves_gives_the_memory_back(stage: LlmStage) -> None:
    memory = ReplayMemory(1 << 20)
    stage.llm(stage.model("a", streams(PIECE, None)), options=HELD)
    asking = stage.asking(stream=True, memory=memory)
    await stage.until(0.5)
    await stage.leave(asking)
    assert memory.used == 0


async def test_many_small_events_are_held_in_linear_time(stage: LlmStage) -> None:
    """40,000 of them, one by one."""
    small = text("x")
    stage.llm(stage.model("a", streams(*([small] * 40_000), STOP + DONE)), options=HELD)
    assert len((await stage.ask(stream=True)).body) > 40_000 * len(small)


async def test_a_refusal_at_the_end_can_still_be_routed_around(stage: LlmStage) -> None:
    refused = streams(ROLE, text("I"), event(chunk({}, "content_filter")), DONE)
    stage.llm(stage.model("a", refused, refusal_next=True), stage.model("b", streams(WELL)), options=HELD)
    assert (await stage.ask(stream=True)).body == WELL


async def test_a_translated_one_is_held_too(stage: LlmStage) -> None:
    broken = streams(STARTS, word("Never"), CUT)
    stage.llm(
        stage.model("a", broken, dialect=Dialect.ANTHROPIC, tries=1), stage.model("b", streams(WELL)), options=HELD
    )
    assert (await stage.ask(stream=True)).body == WELL


async def test_a_whole_call_does_not_know_the_difference(stage: LlmStage) -> None:
    stage.llm(stage.model("a"), options=HELD)
    assert (await stage.ask()).status == 200
