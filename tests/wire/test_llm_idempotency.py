"""One key for all attempts of a call, one upstream call for two equal ones, and calls that stay where they began."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.caller import PATIENCE
from tests.kit.llm_stage import ALONE, ANTHROPIC, CLAUDE_FIRST, FIRST, GPT_FIRST, HI, OPENAI, SAID, stage
from tests.kit.running import until

if TYPE_CHECKING:
    from tests.kit.llm_stage import Got, Stage

CLIENTS = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
PROVIDERS = pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC])
DOWN = Fault(Kind.STATUS, status=500)
SLOW = Fault(Kind.SLOW, delay=0.3)
"""Long enough for the other call to come meanwhile, on a busy machine, too."""

KEY = {"Idempotency-Key": "order-7"}


def keys_of(s: Stage) -> list[str]:
    return [seen.header("idempotency-key") for seen in (*s.openai.requests, *s.anthropic.requests)]


@CLIENTS
@pytest.mark.parametrize("streamed", [False, True])
async def test_one_key_of_ours_over_all_attempts_of_a_call(client: str, streamed: bool) -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        got = await s.ask(FIRST[OPENAI], client=client, stream=streamed)
        assert (got.text, s.counts) == (SAID, (3, 1))
        [one] = set(keys_of(s))
        assert one
        await s.ask(FIRST[OPENAI], client=client, stream=streamed)
        assert len(set(keys_of(s))) == 2  # the next call has its own


@CLIENTS
async def test_the_callers_own_key_goes_to_every_provider(client: str) -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        await s.ask(FIRST[OPENAI], client=client, extra_headers=KEY)
        assert set(keys_of(s)) == {"order-7"}


async def two(s: Stage, client: str, model: str, *texts: str, first: dict[str, Any] | None = None) -> list[Got]:
    """Two calls with the same key: the second is made when the first one's request has reached its provider."""
    calls = []
    for text in texts:
        user: Any = [{"role": "user", "content": text}]
        asked = {"client": client, "extra_headers": KEY, "messages": user, **(first or {})}
        calls.append(asyncio.create_task(s.ask(model, **asked)))
        await until(lambda: sum(s.counts) > 0)
        first = None
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*calls)


@CLIENTS
@PROVIDERS
async def test_two_equal_calls_at_once_are_one(client: str, provider: str) -> None:
    async with stage() as s:
        await s.provider(provider).switch(SLOW)
        one, other = await two(s, client, ALONE[provider], HI, HI)
        assert (one.text, other.text, s.asked(provider)) == (SAID, SAID, (1, 0))
        assert (one.usage, one.model, one.upstream) == (other.usage, other.model, other.upstream)
        assert one.told("request-id") != other.told("request-id")


@CLIENTS
async def test_another_body_under_the_same_key_is_refused(client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(SLOW)
        one, other = await two(s, client, ALONE[client], HI, "something else")
        assert (one.text, other.status, other.kind) == (SAID, 422, "UnprocessableEntityError")
        assert "Idempotency-Key" in str(other.error)
        assert s.asked(client) == (1, 0)


@CLIENTS
async def test_who_fails_fails_for_both(client: str) -> None:
    async with stage(retry="tries = 1") as s:
        await s.provider(client).switch(SLOW)
        s.provider(client).models = ("none",)
        one, other = await two(s, client, ALONE[client], HI, HI)
        assert (one.status, other.status) == (404, 404)


@CLIENTS
async def test_another_credential_is_another_call(client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(SLOW)
        mine = {**KEY, "Authorization": "Bearer sk-somebody"}
        answers = await two(s, client, ALONE[client], HI, HI, first={"extra_headers": mine})
        assert ([got.text for got in answers], s.asked(client)) == ([SAID, SAID], (2, 0))


@CLIENTS
async def test_streams_are_each_their_own(client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(SLOW)
        calls = [s.ask(ALONE[client], client=client, stream=True, extra_headers=KEY) for _ in range(2)]
        answers = await asyncio.gather(*calls)
        assert ([got.text for got in answers], s.asked(client)) == ([SAID, SAID], (2, 0))


@CLIENTS
async def test_afterwards_the_key_is_free_again(client: str) -> None:
    async with stage() as s:
        for text in (HI, "something else"):
            user: Any = [{"role": "user", "content": text}]
            got = await s.ask(ALONE[client], client=client, messages=user, extra_headers=KEY)
            assert got.text == f"You said: {text}"


# Calls that name what only one provider has.

FILES: list[tuple[str, Any]] = [
    (OPENAI, [{"type": "file", "file": {"file_id": "file-1"}}]),
    (ANTHROPIC, [{"type": "document", "source": {"type": "file", "file_id": "file_1"}}]),
]


@pytest.mark.parametrize(("client", "content"), FILES, ids=[OPENAI, ANTHROPIC])
async def test_a_file_of_one_provider_never_goes_to_the_other(client: str, content: Any) -> None:
    user: Any = [{"role": "user", "content": [{"type": "text", "text": HI}, *content]}]
    async with stage() as s:
        await s.provider(client).switch(DOWN)
        got = await s.ask(FIRST[client], client=client, messages=user)
        assert (got.status, got.upstream, s.asked(client)) == (500, client, (3, 0))


@pytest.mark.parametrize(("client", "content"), FILES, ids=[OPENAI, ANTHROPIC])
async def test_and_is_not_translated_to_a_provider_that_comes_first(client: str, content: Any) -> None:
    user: Any = [{"role": "user", "content": [{"type": "text", "text": HI}, *content]}]
    first = CLAUDE_FIRST if client == OPENAI else GPT_FIRST
    async with stage() as s:
        got = await s.ask(first, client=client, messages=user)
        assert (got.status, got.kind, s.counts) == (400, "BadRequestError", (0, 0))


async def test_a_text_that_tells_of_files_is_no_file() -> None:
    user: Any = [{"role": "user", "content": 'a "file_id": "file-1", and "previous_response_id"'}]
    async with stage() as s:
        await s.openai.switch(DOWN)
        got = await s.ask(GPT_FIRST, messages=user)
        assert (got.upstream, got.error) == (ANTHROPIC, None)


async def test_a_container_of_anthropics_stays_there() -> None:
    async with stage() as s:
        await s.anthropic.switch(DOWN)
        got = await s.ask(CLAUDE_FIRST, client=ANTHROPIC, extra_body={"container": "container_1"})
        assert (got.status, s.counts) == (500, (0, 3))


@CLIENTS
async def test_a_post_to_a_path_that_nobody_knows_is_made_once(client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(DOWN)
        sdk: Any = s.gpt if client == OPENAI else s.claude
        with pytest.raises(Exception, match="Error code: 500"):
            await sdk.post("/files" if client == OPENAI else "/v1/files", cast_to=object, body={"purpose": "x"})
        assert s.asked(client) == (1, 0)
