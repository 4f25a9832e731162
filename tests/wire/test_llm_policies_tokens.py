"""`tokens_per_minute`: what a call may use is taken before it, and corrected by what it has used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.llm import Usage
from sidecar.standins.llm_answers import Answer
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_raw import chat_body, chats, code_of, error_of, messages, metrics, route_of, streamed
from tests.kit.llm_stage import CLAUDE_FIRST, CLAUDE_ONLY, GPT_FIRST, GPT_ONLY, Stage, stage
from tests.kit.running import request, until

if TYPE_CHECKING:
    from tests.kit.caller import Caller
    from tests.kit.running import Running

LIMIT = 600
PER_MINUTE = f"rate_limit = {{ tokens_per_minute = {LIMIT} }}"
ONCE = "tries = 1"
MOST = 100
"""Tokens that these calls may use at most, by their own word."""
REAL = 9
"""What a chat of "hi there" costs: 5 in, 4 out."""
SLACK = 20
"""Tokens that come back in the time (2 s) that a slow machine may take for a test."""


def estimate(model: str, **more: Any) -> int:
    """What is taken for a chat: a token for four bytes of it, and its most."""
    return len(chat_body(model, max_tokens=MOST, **more)) // 4 + MOST


def used(sidecar: Running, limit: str = "route llm") -> float:
    """Tokens that the limit has counted so far."""
    assert sidecar.daemon.view is not None
    told = json.loads(json.dumps(sidecar.daemon.view.rate_limits()))
    return LIMIT - float(told[limit]["remaining"][0])


def about(tokens: float) -> object:
    return pytest.approx(tokens, abs=SLACK)


async def test_a_whole_answer_counts_what_it_cost() -> None:
    async with stage(route=PER_MINUTE) as s:
        answer = await chats(s.sidecar, GPT_ONLY, max_tokens=MOST)
        left = LIMIT - estimate(GPT_ONLY)
        assert answer.fields["ratelimit"].startswith(f'"tokens-per-minute";r={left};t=')
        assert answer.fields["ratelimit-policy"] == f'"tokens-per-minute";q={LIMIT};qu="tokens";w=60'
        assert used(s.sidecar) == about(REAL)


async def test_what_a_call_may_use_has_to_be_there() -> None:
    async with stage(route=PER_MINUTE) as s:
        s.openai.script(Answer("Long.", usage=Usage(100, 450)))
        assert (await chats(s.sidecar, GPT_ONLY, max_tokens=MOST)).status == 200
        refused = await chats(s.sidecar, GPT_ONLY, max_tokens=MOST)
        assert code_of(refused) == (429, "rate_limited")
        assert 1 <= int(refused.fields["retry-after"]) <= 15
        assert "x-should-retry" not in refused.fields
        assert s.counts == (1, 0)
        assert (await chats(s.sidecar, GPT_ONLY, max_tokens=1)).status == 200


async def test_a_call_that_is_larger_than_the_limit_has_to_find_it_empty() -> None:
    async with stage(route=PER_MINUTE) as s:
        s.anthropic.script(Answer("Long.", usage=Usage(10, LIMIT)))
        assert (await messages(s.sidecar, CLAUDE_ONLY, max_tokens=LIMIT)).status == 200
        refused = await messages(s.sidecar, CLAUDE_ONLY, max_tokens=1)
        assert (refused.status, error_of(refused)["type"]) == (429, "rate_limit_error")
        assert s.counts == (0, 1)


async def test_of_a_stream_with_its_usage_that_counts() -> None:
    async with stage(route=PER_MINUTE) as s:
        told = await streamed(s.sidecar, GPT_ONLY, max_tokens=MOST, stream_options={"include_usage": True})
        assert b"[DONE]" in told
        assert used(s.sidecar) == about(REAL)


async def test_anthropics_streams_always_tell_it() -> None:
    async with stage(route=PER_MINUTE) as s:
        assert b"[DONE]" in await streamed(s.sidecar, CLAUDE_ONLY, max_tokens=MOST)
        assert used(s.sidecar) == about(REAL)


@pytest.mark.parametrize("fault", [Fault(), Fault(Kind.USAGE_NEVER), Fault(Kind.USAGE_NULL)])
async def test_without_a_usage_the_estimate_stands(fault: Fault) -> None:
    async with stage(route=PER_MINUTE) as s:
        await s.openai.switch(fault)
        assert b"[DONE]" in await streamed(s.sidecar, GPT_ONLY, max_tokens=MOST)
        assert used(s.sidecar) == about(estimate(GPT_ONLY, stream=True))


async def test_of_a_cancelled_stream_the_estimate_stands() -> None:
    async with stage(route=PER_MINUTE) as s:
        await s.anthropic.switch(Fault(Kind.STALL, tokens=2, delay=600))
        caller = await s.sidecar.caller()
        body = chat_body(CLAUDE_ONLY, stream=True, max_tokens=MOST)
        caller.send(request("/v1/chat/completions", "X-Request-ID: i-1", method="POST", body=body))
        assert (await caller.head()).status == 200
        await caller.reader.readuntil(b" said:")
        await caller.close()
        line = await s.sidecar.log.call("i-1")
        assert line["outcome"] == "caller_left"
        assert used(s.sidecar) == about(estimate(CLAUDE_ONLY, stream=True))


async def test_a_refusal_costs_nothing_and_a_fallback_what_it_cost() -> None:
    async with stage(route=PER_MINUTE) as s:
        await s.openai.switch(Fault(Kind.STATUS, status=500))
        assert route_of(await chats(s.sidecar, GPT_FIRST, max_tokens=MOST)) == ("anthropic", "4")
        assert used(s.sidecar) == about(REAL)


async def test_a_dead_port_costs_nothing() -> None:
    async with stage(route=PER_MINUTE) as s:
        await s.openai.switch(Fault(Kind.DEAD))
        assert code_of(await chats(s.sidecar, GPT_ONLY, max_tokens=MOST)) == (502, "upstream_connect_failed")
        assert used(s.sidecar) == about(0)


async def test_an_answer_that_nobody_saw_may_have_cost_all_it_could() -> None:
    async with stage(route=PER_MINUTE, retry=ONCE) as s:
        await s.openai.switch(Fault(Kind.RESET))
        assert (await chats(s.sidecar, GPT_FIRST, max_tokens=MOST)).status == 200
        assert used(s.sidecar) == about(estimate(GPT_FIRST) + REAL)


async def test_what_a_broken_stream_has_cost_is_wasted() -> None:
    async with stage() as s:
        await s.anthropic.switch(Fault(Kind.CUT, tokens=2))
        assert b"upstream_reset" in await streamed(s.sidecar, CLAUDE_ONLY)
        tokens = await metrics(s.sidecar, "sidecar_tokens_total")
        name = 'upstream="anthropic",model="claude-sonnet-4-6",kind='
        assert tokens[f'{name}"wasted"'] == 5 + 2
        assert f'{name}"output"' not in tokens


async def test_each_kind_of_token_is_told_by_model() -> None:
    async with stage() as s:
        s.anthropic.script(Answer("Yes.", usage=Usage(input=100, output=1, cached=80)))
        await messages(s.sidecar, CLAUDE_ONLY)
        await chats(s.sidecar, GPT_ONLY)
        await chats(s.sidecar, "gpt-4.1")
        tokens = await metrics(s.sidecar, "sidecar_tokens_total")
        kept = {labels: value for labels, value in tokens.items() if value}
        claude = 'upstream="anthropic",model="claude-sonnet-4-6",kind='
        assert kept == {
            f'{claude}"input"': 100,
            f'{claude}"output"': 1,
            f'{claude}"cached"': 80,
            'upstream="openai",model="gpt-4o",kind="input"': 5,
            'upstream="openai",model="gpt-4o",kind="output"': 4,
            'upstream="openai",model="other",kind="input"': 5,
            'upstream="openai",model="other",kind="output"': 4,
        }


async def test_a_limit_of_an_upstream_sends_calls_to_the_next_one() -> None:
    async with stage(openai_keys=PER_MINUTE) as s:
        s.openai.script(Answer("Long.", usage=Usage(100, 450)))
        assert route_of(await chats(s.sidecar, GPT_FIRST, max_tokens=MOST)) == ("openai", "1")
        assert route_of(await chats(s.sidecar, GPT_FIRST, max_tokens=MOST)) == ("anthropic", "1")
        assert code_of(await chats(s.sidecar, GPT_ONLY, max_tokens=MOST)) == (429, "rate_limited")
        assert (await chats(s.sidecar, CLAUDE_FIRST, max_tokens=MOST)).status == 200
        assert used(s.sidecar, "upstream openai") == about(550)


async def test_its_models_share_it() -> None:
    async with stage(openai_keys=PER_MINUTE) as s:
        s.openai.script(Answer("Long.", usage=Usage(100, 450)))
        await chats(s.sidecar, GPT_ONLY, max_tokens=MOST)
        assert code_of(await chats(s.sidecar, "gpt-4.1", max_tokens=MOST)) == (429, "rate_limited")


async def test_tokens_of_an_attempt_that_was_not_made_are_given_back() -> None:
    busy = f"concurrency = {{ max = 1 }}\n{PER_MINUTE}"
    async with stage(openai_keys=busy) as s:
        await s.openai.switch(Fault(Kind.STALL, tokens=2, delay=600))
        first = await held_stream(s)
        taken = used(s.sidecar, "upstream openai")
        assert route_of(await chats(s.sidecar, GPT_FIRST, max_tokens=MOST)) == ("anthropic", "1")
        assert used(s.sidecar, "upstream openai") == about(taken)
        await first.close()
        await until(lambda: s.openai.abandoned == 1)


async def held_stream(s: Stage) -> Caller:
    """A caller whose stream has begun and does not go on."""
    caller = await s.sidecar.caller()
    body = chat_body(GPT_ONLY, stream=True, max_tokens=MOST)
    caller.send(request("/v1/chat/completions", method="POST", body=body))
    assert (await caller.head()).status == 200
    await caller.reader.readuntil(b" said:")
    return caller


async def test_each_key_has_a_bucket_of_its_own() -> None:
    keyed = f'rate_limit = {{ tokens_per_minute = {LIMIT}, key = "api_key" }}'
    async with stage(route=keyed) as s:
        s.openai.script(Answer("Long.", usage=Usage(100, 450)))
        asked: dict[str, Any] = {"max_tokens": MOST}
        assert (await chats(s.sidecar, GPT_ONLY, "Authorization: Bearer one", **asked)).status == 200
        assert (await chats(s.sidecar, GPT_ONLY, "Authorization: Bearer one", **asked)).status == 429
        assert (await chats(s.sidecar, GPT_ONLY, "Authorization: Bearer two", **asked)).status == 200
