"""Streams that are held back until they are whole, and streams that another provider goes on with."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sidecar.listeners import warmth
from sidecar.standins.llm_answers import Answer, Thinking, ToolCall
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_caller import CLAUDE, GPT, chat, message
from tests.kit.llm_stage import (
    ALONE,
    ANTHROPIC,
    CLAUDE_FIRST,
    CLAUDE_ONLY,
    FIRST,
    GPT_FIRST,
    HI,
    MODEL,
    OPENAI,
    OTHER,
    SAID,
    stage,
)
from tests.kit.running import request

CLIENTS = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
BROKEN = pytest.mark.parametrize("broken", [OPENAI, ANTHROPIC])
STOP = {OPENAI: "stop", ANTHROPIC: "end_turn"}
OF_BREAK = {OPENAI: "APIError", ANTHROPIC: "APIStatusError"}
COMPLETE = 'stream = "complete"'
CONTINUE = 'on_break = "continue"'
CUT = Fault(Kind.CUT, tokens=2)


# Held back.


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.ERROR_INSIDE, Kind.STALL])
@CLIENTS
@BROKEN
async def test_a_stream_that_is_held_back_survives_its_break(kind: Kind, client: str, broken: str) -> None:
    async with stage(route=COMPLETE, **{f"{broken}_keys": 'timeout = { idle = "100ms" }'}) as s:
        await s.provider(broken).switch(Fault(kind, delay=30))
        got = await s.ask(FIRST[broken], client=client, stream=True)
        assert (got.text, got.stop, got.error, got.usage) == (SAID, STOP[client], None, (5, 4))
        assert (got.model, got.upstream) == (MODEL[OTHER[broken]], OTHER[broken])
        assert s.asked(broken)[1] == 1


@CLIENTS
@BROKEN
async def test_a_healthy_one_is_as_it_was(client: str, broken: str) -> None:
    async with stage(route=COMPLETE) as s:
        got = await s.ask(ALONE[broken], client=client, stream=True)
        assert (got.text, got.stop, got.usage, got.attempts) == (SAID, STOP[client], (5, 4), 1)


@CLIENTS
async def test_alone_a_broken_one_is_a_plain_error(client: str) -> None:
    async with stage(route=COMPLETE) as s:
        await s.provider(client).switch(CUT)
        got = await s.ask(ALONE[client], client=client, stream=True)
        assert (got.status, got.text, got.attempts) == (502, "", 3)


@CLIENTS
async def test_a_late_refusal_is_routed_around_where_that_is_wanted(client: str) -> None:
    async with stage(route=f"{COMPLETE}\nfallback_on_refusal = true") as s:
        s.anthropic.script(Answer("I begin, but no.", stop="refusal"))
        got = await s.ask(CLAUDE_FIRST, client=client, stream=True)
        assert (got.text, got.upstream, s.counts) == (SAID, OPENAI, (1, 1))


async def raw(port: int, client: str, model: str) -> bytes:
    path, asked = ("/v1/chat/completions", chat(HI)) if client == OPENAI else ("/v1/messages", message(HI))
    body = json.dumps({**asked, "model": model, "stream": True}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(path, "anthropic-version: 2023-06-01", "Connection: close", method="POST", body=body))
    came = await reader.read()
    writer.close()
    return came


@CLIENTS
@BROKEN
async def test_a_caller_who_waits_hears_comments_and_at_last_who_answered(
    client: str, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmth, "WARM_AFTER", 0.02)
    async with stage(route=COMPLETE) as s:
        await s.provider(broken).switch(Fault(Kind.STALL, tokens=2, delay=0.15))
        got = await s.ask(ALONE[broken], client=client, stream=True)
        assert (got.text, got.stop, got.usage, got.upstream) == (SAID, STOP[client], (5, 4), "")  # nobody knew yet
        head, _, body = (await raw(s.sidecar.port, client, ALONE[broken])).partition(b"\r\n\r\n")
        assert b"200 OK" in head
        assert b"X-Sidecar-Upstream" not in head
        first, last = body.index(b": waiting\n\n"), body.index(f": X-Sidecar-Upstream: {broken}\n".encode())
        assert first < body.index(b" there") < last
        assert body.endswith(b"0\r\n\r\n")


@CLIENTS
async def test_a_failure_behind_comments_is_an_error_event_and_no_end(
    client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmth, "WARM_AFTER", 0.02)
    async with stage(route=COMPLETE, retry="tries = 1") as s:
        await s.provider(client).switch(Fault(Kind.SLOW, delay=0.1))
        s.provider(client).models = ("none",)
        got = await s.ask(ALONE[client], client=client, stream=True)
        assert (got.kind, got.text, got.stop) == (OF_BREAK[client], "", None)
        assert MODEL[client] in str(got.error)
        came = await raw(s.sidecar.port, client, ALONE[client])
        assert b'"error":{' in came
        assert not came.endswith(b"0\r\n\r\n")


# Gone on with.


@CLIENTS
@pytest.mark.parametrize("kind", [Kind.CUT, Kind.CUT_INSIDE, Kind.CUT_RESET, Kind.ERROR_INSIDE])
@pytest.mark.parametrize("tokens", [1, 2, 3])
async def test_another_provider_goes_on_where_the_first_one_broke(client: str, kind: Kind, tokens: int) -> None:
    async with stage(route=CONTINUE) as s:
        await s.openai.switch(Fault(kind, tokens=tokens))
        got = await s.ask(GPT_FIRST, client=client, stream=True)
        assert (got.text, got.stop, got.error, s.counts) == (SAID, STOP[client], None, (1, 1))
        assert (got.model, got.upstream) == (GPT, OPENAI)  # one stream has one model: the one that began it
        begun = "".join(["You", " said:", " hi"][:tokens])
        assert s.anthropic.requests[0].document["messages"][-1] == {"role": "assistant", "content": begun}
        assert got.usage is not None


@CLIENTS
async def test_it_is_one_stream_to_the_clients_own_helper(client: str) -> None:
    user: Any = [{"role": "user", "content": HI}]
    async with stage(route=CONTINUE) as s:
        await s.openai.switch(CUT)
        if client == OPENAI:
            async with s.gpt.chat.completions.stream(model=GPT_FIRST, messages=user) as stream:
                completion = await stream.get_final_completion()
            assert completion.choices[0].message.content == SAID
        else:
            async with s.claude.messages.stream(model=GPT_FIRST, max_tokens=50, messages=user) as told:
                final: Any = await told.get_final_message()
            assert [block.text for block in final.content] == [SAID]


PAIR = """
[models.pair]
chain = [
  { upstream = "anthropic", model = "claude-sonnet-4-6", prefill = true },
  { upstream = "anthropic", model = "claude-haiku-4-5", prefill = true },
]
"""


@CLIENTS
async def test_within_one_family(client: str) -> None:
    async with stage(route=CONTINUE, more=PAIR) as s:
        await s.anthropic.switch(Fault(Kind.CUT, tokens=2, model=CLAUDE))
        got = await s.ask("pair", client=client, stream=True)
        assert (got.text, got.stop, got.model, s.counts) == (SAID, STOP[client], CLAUDE, (0, 2))
        assert got.usage == (15, 3)  # five of the prompt, and ten with the two that were said already
        line = await s.sidecar.log.call(got.told("request-id"))
        assert line["tokens"] == {"input": 15, "output": 3, "cached": 0}


@CLIENTS
async def test_a_target_that_cannot_go_on_is_not_asked(client: str) -> None:
    async with stage(route=CONTINUE) as s:
        await s.anthropic.switch(CUT)
        got = await s.ask(CLAUDE_FIRST, client=client, stream=True)
        assert (got.kind, got.text, got.stop, s.counts) == (OF_BREAK[client], "You said:", None, (0, 1))


@CLIENTS
async def test_if_going_on_fails_the_first_cause_is_told(client: str) -> None:
    async with stage(route=CONTINUE) as s:
        await s.openai.switch(Fault(Kind.ERROR_INSIDE, tokens=2))
        await s.anthropic.switch(Fault(Kind.STATUS, status=529))
        got = await s.ask(GPT_FIRST, client=client, stream=True)
        assert (got.kind, got.text, got.stop) == (OF_BREAK[client], "You said:", None)
        assert "The server had an error" in str(got.error)


@CLIENTS
async def test_if_the_second_one_breaks_too_the_stream_is_broken(client: str) -> None:
    async with stage(route=CONTINUE) as s:
        await s.openai.switch(Fault(Kind.CUT, tokens=1))
        await s.anthropic.switch(Fault(Kind.CUT, tokens=1))
        got = await s.ask(GPT_FIRST, client=client, stream=True)
        assert (got.kind, got.text, got.stop) == (OF_BREAK[client], "You said:", None)


@CLIENTS
async def test_a_tool_call_is_not_gone_on_with(client: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}]
    if client == ANTHROPIC:
        tools = [{"name": "get_time", "input_schema": {"type": "object"}}]
    async with stage(route=CONTINUE) as s:
        s.openai.script(Answer("Let me see.", ToolCall("get_time", {"city": "Oslo"}), fault=Fault(Kind.CUT, tokens=5)))
        got = await s.ask(GPT_FIRST, client=client, stream=True, tools=tools)
        assert (got.kind, got.text, got.stop, s.counts) == (OF_BREAK[client], "Let me see.", None, (1, 0))


async def test_thinking_is_not_gone_on_with() -> None:
    async with stage(route=CONTINUE, more=PAIR) as s:
        s.anthropic.script(Answer(Thinking("One two three four."), "Yes.", fault=Fault(Kind.CUT, tokens=2)))
        asked: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 5000}
        got = await s.ask("pair", client=ANTHROPIC, stream=True, **asked)
        assert (got.kind, got.text, s.counts) == ("APIStatusError", "", (0, 1))


async def test_alone_a_break_is_a_break() -> None:
    async with stage(route=CONTINUE) as s:
        await s.anthropic.switch(CUT)
        got = await s.ask(CLAUDE_ONLY, stream=True)
        assert (got.kind, got.text, s.counts) == ("APIError", "You said:", (0, 1))


@CLIENTS
async def test_without_fallback_nobody_goes_on(client: str) -> None:
    async with stage(route=CONTINUE) as s:
        await s.openai.switch(CUT)
        got = await s.ask(GPT_FIRST, client=client, stream=True, extra_headers={"X-Sidecar-Fallback": "off"})
        assert (got.kind, got.text, s.counts) == (OF_BREAK[client], "You said:", (1, 0))
