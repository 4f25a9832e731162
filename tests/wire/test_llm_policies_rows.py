"""What each refusal of a provider means for its target and for the call: the rows of the table that are about LLMs."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.standins.llm_answers import Answer, Refusal
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_raw import breakers, chats, code_of, error_of, health, messages, route_of, text_of
from tests.kit.llm_stage import (
    ANTHROPIC,
    CLAUDE_FIRST,
    CLAUDE_ONLY,
    GPT_FIRST,
    GPT_ONLY,
    OPENAI,
    OTHER,
    SAID,
    Stage,
    stage,
)

if TYPE_CHECKING:
    from tests.kit.running import Running

ONCE = "tries = 1"
FIRST = {OPENAI: GPT_FIRST, ANTHROPIC: CLAUDE_FIRST}
ONLY = {OPENAI: GPT_ONLY, ANTHROPIC: CLAUDE_ONLY}
NAME = {OPENAI: "openai/gpt-4o", ANTHROPIC: "anthropic/claude-sonnet-4-6"}
EACH = pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC])

MONEY = [
    (OPENAI, Fault(Kind.STATUS, status=402)),
    (OPENAI, Fault(Kind.STATUS, status=429, code="insufficient_quota")),
    (ANTHROPIC, Fault(Kind.STATUS, status=402)),
    (ANTHROPIC, Fault(Kind.STATUS, status=429, code="insufficient_quota")),
    (ANTHROPIC, Fault(Kind.STATUS, status=400, code="credit_balance_too_low")),
]


async def rest_of(sidecar: Running, provider: str) -> tuple[int, str]:
    """How long that provider's target rests, to the next ten seconds, and why, by /health."""
    told = (await health(sidecar))["checks"].get(f"target {NAME[provider]}", "rests for 0 s: ")
    seconds, cause = told.removeprefix("rests for ").split(" s: ")
    return math.ceil(int(seconds) / 10) * 10, cause


@pytest.mark.parametrize(("provider", "fault"), MONEY)
async def test_out_of_money_it_rests_long_and_the_next_one_answers_at_once(provider: str, fault: Fault) -> None:
    async with stage(retry='max_rest = "10m"') as s:
        await s.provider(provider).switch(fault)
        answer = await chats(s.sidecar, FIRST[provider])
        assert (text_of(answer), route_of(answer)) == (SAID, (OTHER[provider], "2"))
        assert await rest_of(s.sidecar, provider) == (600, "out_of_money")
        assert (await breakers(s.sidecar))[NAME[provider]] == "closed"
        await chats(s.sidecar, FIRST[provider])
        assert (s.provider(provider).count, s.provider(OTHER[provider]).count) == (1, 2)


@pytest.mark.parametrize(("provider", "fault"), MONEY)
async def test_with_nobody_else_the_caller_is_told_not_to_come_again(provider: str, fault: Fault) -> None:
    async with stage() as s:
        await s.provider(provider).switch(fault)
        answer = await chats(s.sidecar, ONLY[provider])
        status = fault.status if provider == OPENAI else 429  # insufficient_quota is what OpenAI's clients know
        assert (answer.status, answer.fields["x-should-retry"]) == (status, "false")
        assert s.provider(provider).count == 1


@EACH
@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_of_ours_that_is_refused_is_never_the_callers_answer(provider: str, status: int) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(Kind.STATUS, status=status))
        answer = await chats(s.sidecar, FIRST[provider])
        assert (text_of(answer), route_of(answer)) == (SAID, (OTHER[provider], "2"))
        assert (await health(s.sidecar))["status"] == "degraded"
        assert await rest_of(s.sidecar, provider) == (60, "auth_failed")
        alone = await chats(s.sidecar, ONLY[provider])
        assert code_of(alone) == (502, "upstream_auth_failed")
        assert s.provider(provider).count == 1


@EACH
async def test_and_with_none_left_it_is_told_as_ours(provider: str) -> None:
    async with stage() as s:
        for each in (s.openai, s.anthropic):
            await each.switch(Fault(Kind.STATUS, status=401))
        answer = await messages(s.sidecar, FIRST[provider])
        assert (answer.status, error_of(answer)["type"], s.counts) == (502, "api_error", (1, 1))
        assert "credential" in error_of(answer)["message"]


@EACH
async def test_a_model_that_is_gone_is_passed_over(provider: str) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(Kind.STATUS, status=404))
        answer = await chats(s.sidecar, FIRST[provider])
        assert (text_of(answer), route_of(answer)) == (SAID, (OTHER[provider], "2"))
        assert await rest_of(s.sidecar, provider) == (0, "")
        alone = await chats(s.sidecar, ONLY[provider])
        assert (alone.status, s.provider(provider).count) == (404, 2)


@EACH
@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_that_is_too_long_goes_to_a_larger_model(provider: str, stream: bool) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(Kind.STATUS, status=400, code="context_length_exceeded"))
        for _ in range(6):
            answer = await chats(s.sidecar, FIRST[provider], stream=stream)
            assert (answer.status, route_of(answer)) == (200, (OTHER[provider], "2"))
        assert (await breakers(s.sidecar))[NAME[provider]] == "closed"
        assert await rest_of(s.sidecar, provider) == (0, "")


async def test_with_no_larger_model_the_first_one_is_quoted() -> None:
    async with stage() as s:
        for each in (s.openai, s.anthropic):
            await each.switch(Fault(Kind.STATUS, status=400, code="context_length_exceeded"))
        answer = await chats(s.sidecar, CLAUDE_FIRST)
        assert (answer.status, "prompt is too long" in error_of(answer)["message"]) == (400, True)


@EACH
async def test_a_refusal_is_an_answer(provider: str) -> None:
    async with stage() as s:
        s.provider(provider).script(no(provider))
        whole = await chats(s.sidecar, FIRST[provider])
        await s.provider(provider).switch(Fault(Kind.STATUS, status=400, code="content_policy_violation"))
        told = await chats(s.sidecar, FIRST[provider])
        assert (whole.status, told.status) == (200, 400)
        assert s.provider(OTHER[provider]).count == 0


@EACH
async def test_unless_the_route_says_to_ask_somebody_else(provider: str) -> None:
    async with stage(route="fallback_on_refusal = true") as s:
        s.provider(provider).script(no(provider))
        whole = await chats(s.sidecar, FIRST[provider])
        await s.provider(provider).switch(Fault(Kind.STATUS, status=400, code="content_policy_violation"))
        told = await chats(s.sidecar, FIRST[provider])
        assert [(text_of(answer), route_of(answer)) for answer in (whole, told)] == [(SAID, (OTHER[provider], "2"))] * 2
        assert (await breakers(s.sidecar))[NAME[provider]] == "closed"


async def test_when_all_refuse_the_first_refusal_stands() -> None:
    async with stage(route="fallback_on_refusal = true") as s:
        s.openai.script(no(OPENAI))
        s.anthropic.script(no(ANTHROPIC))
        answer = await chats(s.sidecar, GPT_FIRST)
        assert (answer.status, route_of(answer)) == (200, ("openai", "2"))


def no(provider: str) -> Answer:
    """A refusal in that provider's way."""
    return Answer(Refusal("I cannot help.")) if provider == OPENAI else Answer("I cannot.", stop="refusal")


# Waits that providers tell.


@pytest.mark.parametrize("told", [{"retry_after_ms": "20"}, {"retry_after": "30", "retry_after_ms": "20"}])
async def test_a_wait_that_was_told_is_waited_out(told: dict[str, Any]) -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STATUS, status=429, times=1, **told))
        answer = await chats(s.sidecar, GPT_ONLY, "X-Request-ID: i-1")
        assert (answer.status, route_of(answer)) == (200, ("openai", "2"))
        [wait] = [step for step in await timeline(s, "i-1") if step["kind"] == "wait"]
        assert wait["seconds"] >= 0.02


async def test_or_the_next_one_is_asked_and_the_target_rests() -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STATUS, status=429, retry_after="60"))
        answer = await chats(s.sidecar, GPT_FIRST)
        assert (answer.status, route_of(answer)) == (200, ("anthropic", "2"))
        assert await rest_of(s.sidecar, OPENAI) == (60, "throttled")


async def timeline(s: Stage, request_id: str) -> list[dict[str, Any]]:
    assert s.sidecar.daemon.view is not None
    told: Any = s.sidecar.daemon.view.timeline(request_id)
    return list(told["steps"])


async def test_a_wait_that_is_too_long_for_anybody_is_told_on() -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STATUS, status=429, retry_after="900"))
        first = await chats(s.sidecar, GPT_ONLY)
        assert (first.status, first.fields["retry-after"], s.openai.count) == (429, "900", 1)
        second = await chats(s.sidecar, GPT_ONLY)
        assert code_of(second) == (429, "rate_limited")
        assert 880 <= int(second.fields["retry-after"]) <= 900
        assert s.openai.count == 1


async def test_a_date_is_a_wait_too() -> None:
    async with stage(retry=ONCE) as s:
        then = datetime.now(UTC) + timedelta(seconds=600)
        await s.openai.switch(Fault(Kind.STATUS, status=503, retry_after=format_datetime(then, usegmt=True)))
        assert route_of(await chats(s.sidecar, GPT_FIRST)) == ("anthropic", "2")
        assert await rest_of(s.sidecar, OPENAI) == (600, "unavailable")


@pytest.mark.parametrize(
    ("provider", "headers"),
    [
        (OPENAI, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "5m0s"}),
        (OPENAI, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "300s"}),
        (ANTHROPIC, {"anthropic-ratelimit-requests-remaining": "0"}),
        (ANTHROPIC, {"anthropic-ratelimit-output-tokens-remaining": "0"}),
        (OPENAI, {"ratelimit-remaining": "0", "ratelimit-reset": "300"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_200_after_which_nothing_remains_is_followed_by_a_rest_and_no_429(
    provider: str, headers: dict[str, str], stream: bool
) -> None:
    if provider == ANTHROPIC:
        [name] = headers
        reset = (datetime.now(UTC) + timedelta(seconds=300)).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {**headers, name.replace("remaining", "reset"): reset}
    async with stage() as s:
        s.provider(provider).script(Answer("The last one.", headers=headers))
        first = await chats(s.sidecar, FIRST[provider], stream=stream)
        assert (first.status, route_of(first)) == (200, (provider, "1"))
        second = await chats(s.sidecar, FIRST[provider], stream=stream)
        assert route_of(second) == (OTHER[provider], "1")
        assert s.provider(provider).count == 1
        assert await rest_of(s.sidecar, provider) == (300, "throttled")


async def test_a_providers_own_limit_is_met_by_resting_before_it_says_no() -> None:
    async with stage() as s:
        s.openai.limits.requests = 2
        answers = [await chats(s.sidecar, GPT_FIRST) for _ in range(4)]
        assert [answer.fields["x-sidecar-upstream"] for answer in answers] == ["openai"] * 2 + ["anthropic"] * 2
        assert s.counts == (2, 2)


async def test_a_conflict_is_tried_again_and_a_mistake_is_not() -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STATUS, status=409, times=1))
        assert route_of(await chats(s.sidecar, GPT_ONLY)) == ("openai", "2")
        for status in (400, 413, 422):
            await s.openai.switch(Fault(Kind.STATUS, status=status))
            answer = await chats(s.sidecar, GPT_FIRST)
            assert (answer.status, route_of(answer)) == (status, ("openai", "1"))
        assert json.loads((await chats(s.sidecar, GPT_FIRST)).body)["error"]["code"] == "unprocessable_entity"
