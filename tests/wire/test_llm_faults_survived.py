"""What providers do beside the letter and users never notice: odd ends, odd framing, missing counts."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.standins.llm_answers import Answer, ToolCall
from sidecar.standins.llm_faults import Fault, Kind
from sidecar.upstreams import llm_stream
from tests.kit.llm_stage import ALONE, ANTHROPIC, HI, OPENAI, SAID, stage

CLIENTS = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
PROVIDERS = pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC])
STOP = {OPENAI: "stop", ANTHROPIC: "end_turn"}
FRAMING = [Kind.CRLF, Kind.BOM, Kind.COMMENTS, Kind.LINES, Kind.DRIBBLE, Kind.NO_FINAL_CHUNK, Kind.IDENTITY_ONLY]


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """With who ends neither its answer nor its body."""
    monkeypatch.setattr(llm_stream, "FINISH_GRACE", 0.02)
    monkeypatch.setattr(llm_stream, "USAGE_GRACE", 0.04)
    monkeypatch.setattr(llm_stream, "END_GRACE", 0.01)


@pytest.mark.parametrize("kind", FRAMING)
@CLIENTS
@PROVIDERS
@pytest.mark.parametrize("streamed", [False, True])
async def test_odd_framing(kind: Kind, client: str, provider: str, streamed: bool) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(kind, size=3))
        got = await s.ask(ALONE[provider], client=client, stream=streamed)
        assert (got.text, got.stop, got.usage, got.error) == (SAID, STOP[client], (5, 4), None)
        assert s.asked(provider) == (1, 0)


@pytest.mark.parametrize("kind", [Kind.NO_DONE, Kind.NO_DONE_OPEN])
@CLIENTS
async def test_openais_end_is_made_up_where_only_done_is_missing(kind: Kind, client: str) -> None:
    async with stage() as s:
        await s.openai.switch(Fault(kind))
        got = await s.ask(ALONE[OPENAI], client=client, stream=True)
        assert (got.text, got.stop, got.usage, got.error) == (SAID, STOP[client], (5, 4), None)


@CLIENTS
@PROVIDERS
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_token_of_100_kilobytes(client: str, provider: str, streamed: bool) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(Kind.HUGE, size=100_000))
        got = await s.ask(ALONE[provider], client=client, stream=streamed)
        assert (len(got.text), got.stop) == (len(SAID) + 100_000, STOP[client])


@pytest.mark.parametrize("kind", [Kind.USAGE_NEVER, Kind.USAGE_NULL, Kind.USAGE_EACH])
@CLIENTS
@PROVIDERS
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_usage_that_never_comes_or_always(kind: Kind, client: str, provider: str, streamed: bool) -> None:
    async with stage() as s:
        await s.provider(provider).switch(Fault(kind))
        got = await s.ask(ALONE[provider], client=client, stream=streamed)
        assert (got.text, got.stop, got.error) == (SAID, STOP[client], None)
        # What Anthropic's client cannot do without is told as nothing.
        assert got.usage in ([(5, 4)] if kind is Kind.USAGE_EACH else [None, (0, 0)])


@CLIENTS
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_stop_that_is_a_call_of_tools(client: str, streamed: bool) -> None:
    """VLLM and others say `stop` when tools are called: translated it says what it is."""
    tools: Any = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}]
    if client == ANTHROPIC:
        tools = [{"name": "get_time", "input_schema": {"type": "object"}}]
    async with stage() as s:
        await s.openai.switch(Fault(Kind.STOP_WITH_TOOLS))
        s.openai.script(Answer(ToolCall("get_time", {})))
        got = await s.ask(ALONE[OPENAI], client=client, stream=streamed, tools=tools)
        assert got.tools == [("get_time", "{}")]
        assert got.stop == ("stop" if client == OPENAI else "tool_use")  # untranslated it stays what it was


async def test_events_without_names_are_read_where_they_are_translated() -> None:
    async with stage() as s:
        await s.anthropic.switch(Fault(Kind.NAMELESS))
        got = await s.ask(ALONE[ANTHROPIC], client=OPENAI, stream=True)
        assert (got.text, got.stop, got.usage) == (SAID, "stop", (5, 4))


@PROVIDERS
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_that_is_compressed_though_nobody_asked(provider: str, streamed: bool) -> None:
    """Its own client can read it; where it must be translated, the next provider answers."""
    other = ANTHROPIC if provider == OPENAI else OPENAI
    async with stage() as s:
        await s.provider(provider).switch(Fault(Kind.GZIP))
        got = await s.ask(ALONE[provider], client=provider, stream=streamed)
        assert (got.text, got.headers["content-encoding"]) == (SAID, "gzip")
        crossed = await s.ask(f"{'gpt' if provider == OPENAI else 'claude'}-first", client=other, stream=streamed)
        assert (crossed.text, crossed.upstream, crossed.attempts) == (SAID, other, 2)
        assert "content-encoding" not in crossed.headers


@CLIENTS
async def test_connections_are_used_again_behind_whole_answers_and_streams(client: str) -> None:
    async with stage() as s:
        for streamed in (False, True, False, True):
            for provider in (OPENAI, ANTHROPIC):
                assert (await s.ask(ALONE[provider], client=client, stream=streamed)).text == SAID
        for provider in (OPENAI, ANTHROPIC):
            assert len({seen.port for seen in s.provider(provider).requests}) == 1


async def test_a_dropped_idle_connection_is_no_attempt() -> None:
    async with stage() as s:
        assert (await s.ask(ALONE[OPENAI])).text == SAID
        await s.openai.switch(Fault(Kind.DEAD))
        await s.openai.switch(Fault())
        got = await s.ask(ALONE[OPENAI])
        assert (got.text, got.attempts, s.openai.count) == (SAID, 1, 2)


async def test_emoji_cut_at_any_byte() -> None:
    text = "Grüße 👩‍👩‍👧 ∎"
    for client in (OPENAI, ANTHROPIC):
        for provider in (OPENAI, ANTHROPIC):
            async with stage() as s:
                s.provider(provider).script(Answer(text, fault=Fault(Kind.DRIBBLE, size=1)))
                got = await s.ask(ALONE[provider], client=client, stream=True)
                assert got.text == text


async def test_the_callers_own_prompt_comes_there_as_it_was() -> None:
    text = 'Ünïcode "quotes" \\ \u2028 \x7f 👋 </s> data: [DONE]'
    user: Any = [{"role": "user", "content": text}]
    async with stage() as s:
        for client in (OPENAI, ANTHROPIC):
            for provider in (OPENAI, ANTHROPIC):
                for streamed in (False, True):
                    got = await s.ask(ALONE[provider], client=client, stream=streamed, messages=user)
                    assert got.text == f"You said: {text}"
        assert HI not in text
