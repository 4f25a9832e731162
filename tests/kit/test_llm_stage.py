"""The stage itself: what it says of both clients in the same words, and what it lets a test change."""

from __future__ import annotations

import pytest

from sidecar.standins.llm_answers import Answer, ToolCall
from tests.kit.llm_stage import ALONE, ANTHROPIC, MODEL, OPENAI, OTHER, SAID, stage

TOOLS = {
    OPENAI: [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}],
    ANTHROPIC: [{"name": "get_time", "input_schema": {"type": "object"}}],
}


@pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_a_user_gets(client: str, streamed: bool) -> None:
    async with stage() as s:
        got = await s.ask(ALONE[client], client=client, stream=streamed)
        assert (got.text, got.model, got.usage, got.error) == (SAID, MODEL[client], (5, 4), None)
        assert (got.kind, got.status, got.upstream, got.attempts) == ("", 0, client, 1)
        assert (s.asked(client), s.asked(OTHER[client])) == ((1, 0), (0, 1))
        refused = await s.ask("none", client=client, stream=streamed)
        assert (refused.kind, refused.status, refused.text) == ("NotFoundError", 404, "")


@pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
async def test_tools_that_a_stream_calls_are_put_together(client: str) -> None:
    async with stage() as s:
        s.provider(client).script(
            Answer(ToolCall("get_time", {"city": "Oslo"}), ToolCall("get_time", {"city": "Bergen"}))
        )
        got = await s.ask(ALONE[client], client=client, stream=True, tools=TOOLS[client])
        assert got.tools == [("get_time", '{"city":"Oslo"}'), ("get_time", '{"city":"Bergen"}')]


async def test_a_key_that_a_test_says_takes_the_place_of_ours() -> None:
    async with stage(openai_keys='api_key = "sk-said"') as s:
        for provider in (OPENAI, ANTHROPIC):
            await s.ask(ALONE[provider])
        assert s.openai.requests[0].header("authorization") == "Bearer sk-said"
        assert s.anthropic.requests[0].header("x-api-key") == "sk-ours-anthropic"
