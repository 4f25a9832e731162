"""A committed stream was cut, and a later target goes on: what the loop asks, skips, and gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.call import What
from sidecar.llm import LlmOptions
from tests.kit.providers import CUT, DONE, ROLE, STOP, answers, fails, streams, text
from tests.kit.stage import a_call, slots

if TYPE_CHECKING:
    from tests.kit.providers import LlmStage

pytestmark = pytest.mark.virtual_time

GO_ON = LlmOptions(on_break="continue")
BROKEN = streams(ROLE, text("Hel"), CUT)
REST = streams(ROLE, text("lo"), STOP, DONE)


async def test_the_next_target_that_can_goes_on(llm_stage: LlmStage) -> None:
    a, b = llm_stage.model("a", BROKEN, breaker={"failure_threshold": 1}), llm_stage.model("b")
    c = llm_stage.model("c", fails(What.NO_CONNECTION), REST, prefill=True)
    llm_stage.llm(a, b, c, options=GO_ON)
    answer = await llm_stage.ask(stream=True)
    assert (answer.broke, answer.call.upstream, answer.call.attempts) == (False, "c", 3)
    assert llm_stage.transcript.of(" > ", "is open", "a: ", "c: ", "->", "again") == [
        "0 > a",
        "0 a is open",
        "0 a: broke",
        "0 a -> c: broke",
        "0 > c",
        "0 c: connect_failed",
        "0 c again: connect_failed",
        "1 > c",
        "1 c: ok",
    ]
    assert (llm_stage.summary.outcome, llm_stage.summary.ttfb) == ("ok", 0.0)
    assert [step.outcome for step in llm_stage.summary.steps if step.kind == "attempt"] == [
        "broke",
        "connect_failed",
        "ok",
    ]


async def test_what_fails_is_given_back_and_the_first_break_stays_what_it_was(llm_stage: LlmStage) -> None:
    a = llm_stage.model("a", BROKEN, breaker={"failure_threshold": 9})
    refused = answers({"error": {"message": "no prefill here"}}, 400)
    busy = answers({"error": {"message": "busy"}}, 503)
    b, c = llm_stage.model("b", refused, prefill=True), llm_stage.model("c", busy, prefill=True, tries=1)
    d = llm_stage.model("d", REST, prefill=True, concurrency=slots(1))
    assert d.service.concurrency is not None
    d.service.concurrency.try_enter()
    llm_stage.llm(a, b, c, d, llm_stage.static(), options=GO_ON)
    answer = await llm_stage.ask(stream=True)
    assert (answer.broke, answer.call.upstream, llm_stage.summary.outcome) == (True, "a", "broke")
    assert llm_stage.transcript.of("->") == ["0 a -> b: broke", "0 b -> c: client_error", "0 c -> d: server_error"]
    assert a.service.breaker is not None
    assert a.service.breaker.snapshot()["failure_count"] == 1
    d.service.concurrency.leave()


@pytest.mark.parametrize("why", ["nobody can", "no attempt left", "no fallback", "last"])
async def test_where_nobody_may_go_on_it_ends_as_it_broke(llm_stage: LlmStage, why: str) -> None:
    most = 1 if why == "no attempt left" else 9
    a = llm_stage.model("a", BROKEN, max_attempts=most)
    b = llm_stage.model("b", REST, prefill=why != "nobody can", max_attempts=most)
    llm_stage.llm(*([a] if why == "last" else [a, b]), options=GO_ON)
    answer = await llm_stage.ask(stream=True, fallback=why != "no fallback")
    assert (answer.broke, llm_stage.providers["b"].calls) == (True, [])
    assert llm_stage.lines[-1] == "0 r = broke 200"


async def test_it_has_a_deadline_of_its_own(llm_stage: LlmStage) -> None:
    long = streams(ROLE, text("He"), 50.0, text("l"), CUT)
    silent = streams(ROLE, None)
    llm_stage.llm(
        llm_stage.model("a", long), llm_stage.model("b", silent, prefill=True, tries=1), options=GO_ON, deadline=30
    )
    answer = await llm_stage.ask(stream=True)
    assert (answer.broke, llm_stage.now) == (True, 80.0)


async def test_a_break_behind_the_end_of_all_attempts_is_nobodys(llm_stage: LlmStage) -> None:
    """The upstream may ask for more than there is: the loop is over, and nothing is told twice."""
    llm_stage.llm(llm_stage.model("a", streams(ROLE, text("Hel"), STOP, DONE)))
    call = a_call(started=llm_stage.clock())
    exchange = llm_stage.engine.exchange(call)
    assert await exchange._attempts.resume("cut") is None
    exchange._attempts.broke("cut")
    assert llm_stage.lines == []


async def test_a_caller_that_leaves_in_between(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", BROKEN), llm_stage.model("b", fails(after=9), prefill=True), options=GO_ON)
    asking = llm_stage.asking(stream=True)
    await llm_stage.until(5)
    await llm_stage.leave(asking)
    assert llm_stage.lines[-2:] == ["5 b: caller_gave_up", "5 r = caller_left 200"]


async def test_the_callers_own_deadline_was_for_the_first_token(llm_stage: LlmStage) -> None:
    """It has passed when the answer breaks: who goes on too late is late by our clock, not by the caller's."""
    long = streams(ROLE, text("He"), 50.0, text("l"), CUT)
    silent = streams(ROLE, None)
    b = llm_stage.model("b", silent, prefill=True, tries=1, breaker={"failure_threshold": 1})
    llm_stage.llm(llm_stage.model("a", long), b, options=GO_ON, deadline=30)
    answer = await llm_stage.ask(stream=True, caller_deadline=llm_stage.clock() + 20)
    assert (answer.broke, llm_stage.now) == (True, 80.0)
    assert llm_stage.transcript.of("b: ", "b is") == ["50 a -> b: broke", "80 b is open", "80 b: timeout"]


async def test_the_timeline_says_why_an_answer_broke_that_was_gone_on_with(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", BROKEN), llm_stage.model("b", REST, prefill=True), options=GO_ON)
    await llm_stage.ask(stream=True)
    broke, _ = (step for step in llm_stage.summary.steps if step.kind == "attempt")
    assert (broke.outcome, broke.why) == ("broke", "the connection was reset")
