"""Two who try again, one behind the other: the clients do so twice by themselves, the sidecar keeps them from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_caller import CLAUDE, GPT, OLDER, chat, message
from tests.kit.llm_stage import ALONE, ANTHROPIC, FIRST, OPENAI, SAID, anthropic_to, openai_to, stage

if TYPE_CHECKING:
    from tests.kit.llm_stage import Stage

CLIENTS = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
BROKEN = pytest.mark.parametrize("broken", [OPENAI, ANTHROPIC])
STREAMED = pytest.mark.parametrize("streamed", [False, True])
DOWN = Fault(Kind.STATUS, status=500)
ERRORS: Any = (openai.APIStatusError, anthropic.APIStatusError)
NO_RETRY = {"X-Sidecar-Retry": "off"}
NO_FALLBACK = {"X-Sidecar-Fallback": "off"}


async def ask_twice_more(s: Stage, client: str, model: str, *, stream: bool = False, retries: int = 2) -> Any:
    """Of a client that is as its maker made it: it tries twice again. Raises what it raises."""
    if client == OPENAI:
        async with openai_to(s.sidecar, max_retries=retries) as gpt:
            return await gpt.chat.completions.create(**{**chat(), "model": model}, stream=stream)
    async with anthropic_to(s.sidecar, max_retries=retries) as claude:
        return await claude.messages.create(**{**message(), "model": model}, stream=stream)


@CLIENTS
@BROKEN
@STREAMED
async def test_a_client_that_tries_three_times_before_a_broken_provider_makes_three_requests(
    client: str, broken: str, streamed: bool
) -> None:
    async with stage() as s:
        await s.provider(broken).switch(DOWN)
        with pytest.raises(ERRORS) as raised:
            await ask_twice_more(s, client, ALONE[broken], stream=streamed)
        assert s.asked(broken) == (3, 0)
        assert raised.value.response.headers["x-should-retry"] == "false"
        assert raised.value.response.headers["x-sidecar-attempts"] == "3"


@CLIENTS
@BROKEN
async def test_and_before_a_dead_one_none_beyond_the_tries(client: str, broken: str) -> None:
    async with stage(retry="tries = 2") as s:
        await s.provider(broken).switch(Fault(Kind.DEAD))
        with pytest.raises(ERRORS) as raised:
            await ask_twice_more(s, client, ALONE[broken])
        assert raised.value.status_code == 502
        assert raised.value.response.headers["x-sidecar-attempts"] == "2"
        assert [line["attempts"] for line in s.sidecar.log.lines if "attempts" in line] == [2]  # one call, two tries


@CLIENTS
async def test_both_providers_down_is_every_try_of_both_once(client: str) -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        await s.anthropic.switch(DOWN)
        with pytest.raises(ERRORS):
            await ask_twice_more(s, client, FIRST[OPENAI])
        assert s.counts == (3, 3)


@CLIENTS
@BROKEN
async def test_out_of_money_is_told_once_and_asked_once(client: str, broken: str) -> None:
    async with stage() as s:
        await s.provider(broken).switch(Fault(Kind.STATUS, status=429, code="insufficient_quota"))
        with pytest.raises(ERRORS):
            await ask_twice_more(s, client, ALONE[broken])
        assert s.asked(broken) == (1, 0)


@CLIENTS
async def test_one_try_of_ours_leaves_the_others_to_the_client(client: str) -> None:
    """The wait that the provider tells is the client's to keep."""
    async with stage(retry="tries = 1") as s:
        await s.provider(client).switch(Fault(Kind.STATUS, status=500, times=2, retry_after_ms="1"))
        answer = await ask_twice_more(s, client, ALONE[client])
        assert answer.model == (GPT if client == OPENAI else CLAUDE)
        assert s.asked(client) == (3, 0)


@CLIENTS
async def test_a_client_that_says_it_tries_again_is_believed_and_served(client: str) -> None:
    async with stage() as s:
        got = await s.ask(ALONE[client], client=client, extra_headers={"x-stainless-retry-count": "1"})
        assert (got.text.startswith("You said"), s.asked(client)) == (True, (1, 0))


@CLIENTS
async def test_clients_that_try_again_pay_from_the_same_budget(client: str) -> None:
    async with stage(retry="budget = 0.0\nbudget_min_per_second = 0.2") as s:
        await s.provider(client).switch(DOWN)
        again = {"x-stainless-retry-count": "1"}
        attempts = [(await s.ask(ALONE[client], client=client, extra_headers=again)).attempts for _ in range(3)]
        assert attempts[-1] == 1
        assert sum(attempts) <= 5


@CLIENTS
async def test_retry_off_means_one_request_for_each_provider(client: str) -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        got = await s.ask(FIRST[OPENAI], client=client, extra_headers=NO_RETRY)
        assert (got.text, got.upstream, got.attempts, s.counts) == (SAID, ANTHROPIC, 2, (1, 1))


@CLIENTS
async def test_fallback_off_means_the_first_provider_alone(client: str) -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        got = await s.ask(FIRST[OPENAI], client=client, extra_headers=NO_FALLBACK)
        assert (got.status, got.upstream, got.attempts, s.counts) == (500, OPENAI, 3, (3, 0))


@CLIENTS
async def test_both_off_is_one_request_and_the_client_may_try_again(client: str) -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        got = await s.ask(FIRST[OPENAI], client=client, extra_headers={**NO_RETRY, **NO_FALLBACK})
        assert (got.status, got.attempts, s.counts) == (500, 1, (1, 0))
        assert "x-should-retry" not in got.headers
        assert not any(name.lower().startswith("x-sidecar") for name, _ in s.openai.requests[0].headers)


@CLIENTS
async def test_a_provider_that_told_a_wait_is_left_alone_until_then(client: str) -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STATUS, status=429, retry_after="40"))
        first = await s.ask(FIRST[OPENAI], client=client)
        second = await s.ask(FIRST[OPENAI], client=client)
        assert [(got.upstream, got.attempts) for got in (first, second)] == [(ANTHROPIC, 2), (ANTHROPIC, 1)]
        assert s.counts == (1, 2)


@CLIENTS
async def test_a_provider_whose_limits_are_used_up_is_left_alone_before_it_refuses(client: str) -> None:
    async with stage() as s:
        s.openai.limits.requests = 2
        upstreams = [(await s.ask(FIRST[OPENAI], client=client)).upstream for _ in range(4)]
        assert upstreams == [OPENAI, OPENAI, ANTHROPIC, ANTHROPIC]
        assert (s.openai.faulty, s.counts) == (0, (2, 2))


@CLIENTS
async def test_our_own_limit_says_when_to_come_back(client: str) -> None:
    async with stage(route="rate_limit = { per_minute = 1 }") as s:
        assert (await s.ask(ALONE[client], client=client)).text == SAID
        got = await s.ask(ALONE[client], client=client)
        assert (got.kind, got.status, s.asked(client)) == ("RateLimitError", 429, (1, 0))
        assert 55_000 < int(got.headers["retry-after-ms"]) <= 60_000
        assert "x-should-retry" not in got.headers
        assert got.told("error-category") == "rate_limit"


@CLIENTS
async def test_the_clients_time_limit_ends_the_call_before_it_gives_up(client: str) -> None:
    """What it would wait for a byte it says: five per cent less, and a quarter of a second at least."""
    async with stage() as s:
        await s.provider(client).switch(Fault(Kind.SLOW, delay=30))
        got = await s.ask(ALONE[client], client=client, timeout=0.3)
        assert got.status == 504
        assert s.asked(client) == (1, 0)


async def test_models_that_no_chain_names_have_their_own_provider_and_no_other() -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        got = await s.ask(GPT)
        assert (got.status, got.told("model"), s.counts) == (500, "", (3, 0))
        assert (await s.ask(CLAUDE, client=ANTHROPIC)).text == SAID


async def test_a_model_that_nobody_knows_is_told_as_its_provider_does() -> None:
    async with stage() as s:
        gpt = await s.ask("gpt-none")
        claude = await s.ask("claude-none", client=ANTHROPIC)
        assert (gpt.kind, claude.kind, s.counts) == ("NotFoundError", "NotFoundError", (1, 1))
        assert "`gpt-none` does not exist" in str(gpt.error)
        assert "model: claude-none" in str(claude.error)


async def test_no_model_at_all_is_its_providers_to_refuse() -> None:
    async with stage() as s:
        answer = await s.sidecar.ask("/v1/chat/completions", method="POST", body=b'{"messages": []}')
        assert (answer.status, b"you must provide a model parameter" in answer.body) == (400, True)
        lines = [f"{name}: {value}" for name, value in OLDER.items()]
        answer = await s.sidecar.ask("/v1/messages", *lines, method="POST", body=b'{"messages": []}')
        assert (answer.status, b"model: Field required" in answer.body) == (400, True)
