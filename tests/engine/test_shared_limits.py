"""A limit that all sidecars count in: asking it takes a moment, and it may be that nobody counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import Overloaded
from tests.kit.providers import answers, completion
from tests.kit.stage import Elsewhere, limit

if TYPE_CHECKING:
    from sidecar.quota import Taken
    from tests.kit.providers import LlmStage
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time

TOKENS = {"tokens_per_minute": 10_000}
NOBODY = Overloaded("nobody counts", retry_after=1.0)


async def test_what_it_says_counts_and_what_is_left_is_told(stage: Stage) -> None:
    elsewhere = Elsewhere(0.0, 3.0)
    stage.route(stage.target("a"), limit=limit(elsewhere, per_minute=1, key="header:X-Tenant"))
    answers = [await stage.call(fields={b"x-tenant": b"t"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert [[quota.remaining for quota in answer.call.quotas or ()] for answer in answers] == [[1], [0]]
    assert elsewhere.heard == [("take", "t", 1.0, 0)] * 2
    assert sum("over the limit" in line for line in stage.lines) == 1


async def test_it_is_waited_for_and_asked_again(stage: Stage) -> None:
    stage.route(stage.target("a"), limit=limit(Elsewhere(5.0, 2.0, 0.0), per_minute=1, max_wait=10))
    assert (await stage.call()).status == 200
    assert stage.now == pytest.approx(7.003)
    assert stage.summary.waited == 7.0


async def test_where_nobody_counts_the_route_s_call_is_refused_and_no_limit_was_exceeded(stage: Stage) -> None:
    stage.route(stage.target("a"), limit=limit(Elsewhere(NOBODY), per_minute=1))
    refused = await stage.call()
    assert (refused.status, refused.label, refused.retry_after) == (503, "overloaded", 1.0)
    assert not any("over the limit" in line for line in stage.lines)


async def test_at_a_target_it_means_the_next_one(stage: Stage) -> None:
    limits = [limit(Elsewhere(said), per_minute=1) for said in (NOBODY, 60.0, 0.0)]
    targets = [stage.target(name, limit=limited) for name, limited in zip("abc", limits, strict=True)]
    stage.route(*targets)
    assert (await stage.call()).body == b"c says 200"
    assert [step.outcome for step in stage.summary.steps] == ["overloaded", "rate_limited", "ok"]
    assert sum("over the limit" in line for line in stage.lines) == 1


async def test_a_caller_that_leaves_while_it_is_asked(stage: Stage) -> None:
    class Silent(Elsewhere):
        async def take(self, key: str, amount: float = 1.0, tokens: float = 0.0) -> Taken:
            await asyncio.Event().wait()
            return await super().take(key, amount, tokens)

    stage.route(stage.target("a"), limit=limit(Silent(), per_minute=1))
    call = stage.calling()
    await stage.until(1)
    await stage.leave(call)
    assert stage.summary.outcome == "caller_left"


async def test_tokens_are_taken_by_an_estimate_and_put_right(llm_stage: LlmStage) -> None:
    elsewhere = Elsewhere()
    llm_stage.llm(llm_stage.model("a", answers(completion(prompt=10, tokens=5))), limit=limit(elsewhere, **TOKENS))
    asked = (await llm_stage.ask()).call.llm
    assert asked is not None
    assert elsewhere.heard == [("take", "", 1.0, asked.estimate), ("correct", "", 15 - asked.estimate)]
