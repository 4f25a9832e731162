"""Streams that break after their first token: neither client may take what came for a whole answer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from sidecar.standins.llm_answers import Answer, ToolCall
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.caller import PATIENCE
from tests.kit.llm_caller import chat, message
from tests.kit.llm_stage import ALONE, ANTHROPIC, CLAUDE_ONLY, FIRST, GPT_ONLY, HI, NO_TLS, OPENAI, Stage, stage
from tests.kit.running import request

if TYPE_CHECKING:
    from tests.kit.running import Running

CUTS = pytest.mark.parametrize("kind", [Kind.CUT, Kind.CUT_INSIDE, Kind.CUT_RESET, Kind.HALF_CLOSED])
CLIENTS = pytest.mark.parametrize("client", [OPENAI, ANTHROPIC])
BROKEN = pytest.mark.parametrize("broken", [OPENAI, ANTHROPIC])
OF_BREAK = {OPENAI: "APIError", ANTHROPIC: "APIStatusError"}
"""What either client raises for an error event."""


async def read_into(came: list[Any], stream: Any) -> None:
    async for event in stream:
        came.append(event)  # noqa: PERF401  (what came before an error is what counts)


async def bytes_of(s: Stage, client: str, model: str) -> bytes:
    """Of the whole answer to a streamed request, until the connection ends or the answer does."""
    path, asked = ("/v1/chat/completions", chat(HI)) if client == OPENAI else ("/v1/messages", message(HI))
    body = json.dumps({**asked, "model": model, "stream": True}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", s.sidecar.port)
    writer.write(request(path, "anthropic-version: 2023-06-01", "Connection: close", method="POST", body=body))
    came = await reader.read()
    writer.close()
    return came


@CUTS
@CLIENTS
@BROKEN
async def test_a_cut_is_an_error_behind_what_came(kind: Kind, client: str, broken: str) -> None:
    async with stage() as s:
        await s.provider(broken).switch(Fault(kind, tokens=2))
        got = await s.ask(FIRST[broken], client=client, stream=True)
        assert (got.kind, got.text, got.stop) == (OF_BREAK[client], "You said:", None)
        assert "the stream broke" in str(got.error)
        assert (got.upstream, got.attempts, s.asked(broken)) == (broken, 1, (1, 0))  # committed: nothing is tried again
        line = await s.sidecar.log.call(got.headers["x-sidecar-request-id"])
        assert (line["outcome"], line["status_code"], line["upstream"]) == ("broke", 200, broken)


@CLIENTS
@BROKEN
async def test_the_bytes_of_a_cut_stream_have_no_end(client: str, broken: str) -> None:
    async with stage() as s:
        await s.provider(broken).switch(Fault(Kind.CUT, tokens=2))
        cut = await bytes_of(s, client, ALONE[broken])
        await s.provider(broken).switch(Fault())
        whole = await bytes_of(s, client, ALONE[broken])
    ends = [b"data: [DONE]"] if client == OPENAI else [b"message_stop", b'stop_reason":"end_turn']
    for end in [*ends, b"\r\n0\r\n\r\n"]:
        assert end in whole
        assert end not in cut
    assert b'"error":{' in cut
    assert b'"upstream_reset"' in cut or client == ANTHROPIC


@CLIENTS
@BROKEN
async def test_an_error_of_the_providers_in_the_middle_is_told_in_its_own_words(client: str, broken: str) -> None:
    words = {OPENAI: "The server had an error", ANTHROPIC: "Overloaded"}
    status = {OPENAI: 500, ANTHROPIC: 529}
    async with stage() as s:
        await s.provider(broken).switch(Fault(Kind.ERROR_INSIDE, tokens=2, status=status[broken]))
        got = await s.ask(FIRST[broken], client=client, stream=True)
        assert (got.kind, got.text, got.stop) == (OF_BREAK[client], "You said:", None)
        assert words[broken] in str(got.error)
        assert s.asked(broken) == (1, 0)


@CLIENTS
@BROKEN
async def test_silence_in_the_middle_ends_after_the_idle_time(client: str, broken: str) -> None:
    async with stage(**{f"{broken}_keys": 'timeout = { idle = "150ms" }'}) as s:
        await s.provider(broken).switch(Fault(Kind.STALL, tokens=2, delay=30))
        got = await s.ask(FIRST[broken], client=client, stream=True)
        assert (got.kind, got.text, got.stop) == (OF_BREAK[client], "You said:", None)
        assert "no byte of the reply came for 0.15 s" in str(got.error)


@CLIENTS
@BROKEN
async def test_an_answer_that_never_says_why_it_ended_is_a_broken_one(client: str, broken: str) -> None:
    """OpenAI's end is a finish reason; Anthropic's is `message_stop`."""
    async with stage() as s:
        kind = Kind.NO_FINISH if broken == OPENAI else Kind.NO_DONE
        await s.provider(broken).switch(Fault(kind))
        got = await s.ask(ALONE[broken], client=client, stream=True)
        assert got.kind == OF_BREAK[client]
        assert "the stream ended before the answer did" in str(got.error)


@BROKEN
async def test_an_event_that_cannot_be_read_breaks_a_translation(broken: str) -> None:
    client = ANTHROPIC if broken == OPENAI else OPENAI
    async with stage() as s:
        await s.provider(broken).switch(Fault(Kind.MALFORMED, tokens=2))
        got = await s.ask(ALONE[broken], client=client, stream=True)
        assert (got.kind, got.text, got.stop) == (OF_BREAK[client], "You said:", None)
        assert "cannot be read" in str(got.error)


@CLIENTS
async def test_in_its_own_dialect_it_goes_on_to_the_client_whose_matter_it_is(client: str) -> None:
    async with stage() as s:
        await s.provider(client).switch(Fault(Kind.MALFORMED, tokens=2))
        with pytest.raises(json.JSONDecodeError):
            await s.ask(ALONE[client], client=client, stream=True)
        came = await bytes_of(s, client, ALONE[client])
        assert came.count(b'data: {"broken": \n\n') == 1
        assert (b"[DONE]" if client == OPENAI else b"message_stop") in came


@CLIENTS
@BROKEN
async def test_half_a_tool_call_is_no_tool_call(client: str, broken: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}]
    if client == ANTHROPIC:
        tools = [{"name": "get_time", "input_schema": {"type": "object"}}]
    async with stage() as s:
        call = ToolCall("get_time", {"city": "Oslo", "zone": "Europe/Oslo"})
        s.provider(broken).script(Answer(call, fault=Fault(Kind.CUT, tokens=3)))
        got = await s.ask(ALONE[broken], client=client, stream=True, tools=tools)
    assert (got.kind, got.stop, len(got.tools)) == (OF_BREAK[client], None, 1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(got.tools[0][1])


@BROKEN
async def test_the_helpers_of_both_clients_give_no_final_answer(broken: str) -> None:
    async with stage() as s:
        await s.provider(broken).switch(Fault(Kind.CUT, tokens=2))
        user: Any = [{"role": "user", "content": HI}]
        with pytest.raises(openai.APIError, match="the stream broke"):
            async with s.gpt.chat.completions.stream(model=ALONE[broken], messages=user) as stream:
                await stream.get_final_completion()
        with pytest.raises(anthropic.APIStatusError, match="the stream broke"):
            async with s.claude.messages.stream(model=ALONE[broken], max_tokens=9, messages=user) as told:
                await told.get_final_message()


@BROKEN
async def test_clients_that_are_not_async_see_it_too(broken: str) -> None:
    def use(sidecar: Running) -> list[str]:
        user: Any = [{"role": "user", "content": HI}]
        seen = []
        with openai.OpenAI(
            base_url=f"{sidecar.url}/v1", api_key="k", http_client=openai.DefaultHttpxClient(verify=NO_TLS)
        ) as gpt:
            try:
                for _ in gpt.chat.completions.create(model=ALONE[broken], messages=user, stream=True):
                    pass
            except openai.APIError as error:
                seen.append(error.message)
        with anthropic.Anthropic(
            base_url=sidecar.url, api_key="k", http_client=anthropic.DefaultHttpxClient(verify=NO_TLS)
        ) as claude:
            try:
                for _ in claude.messages.create(model=ALONE[broken], max_tokens=9, messages=user, stream=True):
                    pass
            except anthropic.APIError as error:
                seen.append(error.message)
        return seen

    async with stage() as s:
        await s.provider(broken).switch(Fault(Kind.CUT, tokens=2))
        seen = await asyncio.to_thread(use, s.sidecar)
        assert ["the stream broke" in text for text in seen] == [True, True]
        assert s.asked(broken) == (2, 0)  # neither tries a stream again


@BROKEN
async def test_a_response_that_breaks_fails(broken: str) -> None:
    async with stage() as s:
        await s.provider(broken).switch(Fault(Kind.CUT, tokens=2))
        stream: Any = await s.gpt.responses.create(model=ALONE[broken], input=HI, stream=True)
        came: list[Any] = []
        with pytest.raises(openai.APIError, match="the stream broke"):
            await read_into(came, stream)
        assert "".join(event.delta for event in came if event.type == "response.output_text.delta") == "You said:"
        assert came[-1].type == "response.output_text.delta"


async def test_a_legacy_completion_that_breaks() -> None:
    async with stage() as s:
        await s.openai.switch(Fault(Kind.CUT, tokens=2))
        stream: Any = await s.gpt.completions.create(model="gpt-3.5-turbo-instruct", prompt=HI, stream=True)
        chunks: list[Any] = []
        with pytest.raises(openai.APIError, match="the stream broke"):
            await read_into(chunks, stream)
        assert [(chunk.choices[0].text, chunk.choices[0].finish_reason) for chunk in chunks] == [
            ("You", None),
            (" said:", None),
        ]


@CLIENTS
@BROKEN
async def test_a_user_who_leaves_in_the_middle_takes_the_providers_work_away(client: str, broken: str) -> None:
    async with stage() as s:
        await s.provider(broken).switch(Fault(Kind.STALL, tokens=2, delay=30))
        if client == OPENAI:
            user: Any = [{"role": "user", "content": HI}]
            chunks: Any = await s.gpt.chat.completions.create(model=ALONE[broken], messages=user, stream=True)
            await anext(chunks)
            await chunks.close()
        else:
            events: Any = await s.claude.messages.create(**{**message(HI), "model": ALONE[broken]}, stream=True)
            await anext(events)
            await events.close()
        async with asyncio.timeout(PATIENCE):
            await s.provider(broken).left.wait()


@CLIENTS
async def test_breaks_open_the_breaker_of_their_model_alone(client: str) -> None:
    keys = "circuit_breaker = { failure_threshold = 2, failure_rate = 0 }"
    async with stage(anthropic_keys=keys) as s:
        await s.anthropic.switch(Fault(Kind.CUT, tokens=2))
        for _ in range(2):
            assert (await s.ask(CLAUDE_ONLY, client=client, stream=True)).kind == OF_BREAK[client]
        got = await s.ask(CLAUDE_ONLY, client=client, stream=True)
        assert (got.status, s.anthropic.count) == (503, 2)
        assert "is OPEN" in str(got.error)
        assert got.headers["retry-after"]
        await s.anthropic.switch(Fault())
        other = await s.ask("claude-haiku-4-5", client=ANTHROPIC)
        assert (other.error, (await s.ask(GPT_ONLY, client=client)).error) == (None, None)
