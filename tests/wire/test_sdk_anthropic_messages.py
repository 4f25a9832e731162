"""Anthropic's own client, sync and async, whole and streamed: it cannot tell which provider answers."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import anthropic
import pytest
from pydantic import BaseModel

from sidecar.llm import Usage
from sidecar.standins.llm_answers import Answer, Redacted, Refusal, Thinking, ToolCall
from tests.kit.llm_caller import CLAUDE, GPT
from tests.kit.llm_stage import ANTHROPIC, CLAUDE_FIRST, CLAUDE_ONLY, GPT_FIRST, GPT_ONLY, HI, NO_TLS, SAID, stage

if TYPE_CHECKING:
    from tests.kit.running import Running

EACH = pytest.mark.parametrize(("model", "answers"), [(CLAUDE_ONLY, CLAUDE), (GPT_ONLY, GPT)])
EACH_MODEL = pytest.mark.parametrize("model", [CLAUDE_ONLY, GPT_ONLY])

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
USER: Any = [{"role": "user", "content": HI}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER_AND_TIME: Any = [{"name": name, "input_schema": CITY} for name in ("get_weather", "get_time")]


class Person(BaseModel):
    name: str
    age: int


@EACH
async def test_a_whole_answer(model: str, answers: str) -> None:
    async with stage() as s:
        raw = await s.claude.messages.with_raw_response.create(model=model, max_tokens=50, messages=USER)
        message = await raw.parse()
        [block] = message.content
        assert (block.type, message.stop_reason, message.role) == ("text", "end_turn", "assistant")
        assert (message.model, message.type) == (answers, "message")
        assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 4)
        assert raw.headers["x-sidecar-model"] == answers
        assert raw.request_id
        assert message.id


@EACH
async def test_a_stream_put_together_by_the_clients_helper(model: str, answers: str) -> None:
    async with stage() as s, s.claude.messages.stream(model=model, max_tokens=50, messages=USER) as stream:
        texts = [text async for text in stream.text_stream]
        message = await stream.get_final_message()
    assert [text for text in texts if text] == ["You", " said:", " hi", " there"]
    assert (message.model, message.stop_reason) == (answers, "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 4)


@EACH_MODEL
async def test_the_events_of_a_stream_in_their_order(model: str) -> None:
    async with stage() as s:
        stream: Any = await s.claude.messages.create(model=model, max_tokens=50, messages=USER, stream=True)
        kinds = [event.type async for event in stream]
    begin, end = ["message_start", "content_block_start"], ["content_block_stop", "message_delta", "message_stop"]
    assert kinds == [*begin, *["content_block_delta"] * 4, *end]


@EACH
async def test_the_client_that_is_not_async(model: str, answers: str) -> None:
    def use(sidecar: Running) -> tuple[str, str, str]:
        http = anthropic.DefaultHttpxClient(verify=NO_TLS)
        with anthropic.Anthropic(base_url=sidecar.url, api_key="sk-caller", http_client=http) as client:
            whole: Any = client.messages.create(model=model, max_tokens=50, messages=USER)
            with client.messages.stream(model=model, max_tokens=50, messages=USER) as stream:
                text = "".join(stream.text_stream)
            return whole.content[0].text, text, whole.model

    async with stage() as s:
        assert await asyncio.to_thread(use, s.sidecar) == (SAID, SAID, answers)


@EACH_MODEL
@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_called_in_parallel_and_their_results(model: str, streamed: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "get_weather and get_time in Oslo"}]
    async with stage() as s:
        asked: Any = {"model": model, "max_tokens": 50, "tools": WEATHER_AND_TIME}
        if streamed:
            async with s.claude.messages.stream(messages=messages, **asked) as stream:
                message: Any = await stream.get_final_message()
        else:
            message = await s.claude.messages.create(messages=messages, **asked)
        assert message.stop_reason == "tool_use"
        assert [(block.type, block.name) for block in message.content] == [
            ("tool_use", "get_weather"),
            ("tool_use", "get_time"),
        ]
        assert all(isinstance(block.input["city"], str) for block in message.content)
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": f"{at} degrees"}
            for at, block in enumerate(message.content)
        ]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
        second: Any = await s.claude.messages.create(messages=messages, **asked)
        assert second.content[0].text == "The tool said: 0 degrees 1 degrees"
        assert second.stop_reason == "end_turn"


@EACH_MODEL
async def test_one_tool_at_a_time_and_one_that_must_be_called(model: str) -> None:
    both: Any = [{"role": "user", "content": "get_weather and get_time in Oslo"}]
    choices: list[Any] = [
        {"type": "auto", "disable_parallel_tool_use": True},
        {"type": "tool", "name": "get_time"},
        {"type": "any"},
        {"type": "none"},
    ]
    called = []
    async with stage() as s:
        for choice in choices:
            got = await s.ask(model, client=ANTHROPIC, messages=both, tools=WEATHER_AND_TIME, tool_choice=choice)
            called.append([name for name, _ in got.tools])
    assert called == [["get_weather"], ["get_time"], ["get_weather", "get_time"], []]


async def test_tool_calls_of_openais_that_come_interleaved_are_blocks_one_after_the_other() -> None:
    async with stage() as s:
        calls = [ToolCall("get_weather", {"city": "Oslo"}), ToolCall("get_time", {"city": "Bergen"})]
        s.openai.script(Answer("Wait. ", *calls, interleaved=True))
        asked: Any = {"model": GPT_ONLY, "max_tokens": 50, "messages": USER, "tools": WEATHER_AND_TIME}
        async with s.claude.messages.stream(**asked) as stream:
            message: Any = await stream.get_final_message()
    text, *tools = message.content
    assert text.text == "Wait. "
    assert [(tool.name, tool.input) for tool in tools] == [
        ("get_weather", {"city": "Oslo"}),
        ("get_time", {"city": "Bergen"}),
    ]


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_ids_that_anthropics_client_could_not_send_back_are_what_they_were_on_their_way_back(
    streamed: bool,
) -> None:
    odd = "functions.get_time:0"
    async with stage() as s:
        s.openai.script(Answer(ToolCall("get_time", {"city": "Oslo"}, id=odd)))
        asked: Any = {"model": GPT_ONLY, "max_tokens": 50, "tools": WEATHER_AND_TIME}
        if streamed:
            async with s.claude.messages.stream(messages=USER, **asked) as stream:
                message: Any = await stream.get_final_message()
        else:
            message = await s.claude.messages.create(messages=USER, **asked)
        [call] = message.content
        assert set(call.id) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "noon"}
        back: Any = [*USER, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        await s.claude.messages.create(messages=back, **asked)
        messages = s.openai.requests[-1].document["messages"]
    assert [messages[1]["tool_calls"][0]["id"], messages[2]["tool_call_id"]] == [odd, odd]


@EACH_MODEL
async def test_structured_output_through_the_parse_helper(model: str) -> None:
    async with stage() as s:
        parsed = await s.claude.messages.parse(model=model, max_tokens=50, messages=USER, output_format=Person)
    assert isinstance(parsed.parsed_output, Person)


@EACH_MODEL
async def test_a_system_prompt_a_picture_and_another_turn(model: str) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    picture = {"type": "image", "source": source}
    messages: Any = [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]},
        {"role": "assistant", "content": "A pixel."},
        {"role": "user", "content": "Sure?"},
    ]
    async with stage() as s:
        system: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
        got = await s.ask(model, client=ANTHROPIC, system=system, messages=messages)
        assert got.text == "You said: Sure?"
        if model == CLAUDE_ONLY:
            assert s.anthropic.requests[-1].document["messages"] == messages
            assert got.told("dropped") == ""
            return
        asked = s.openai.requests[-1].document["messages"]
        assert [one["role"] for one in asked] == ["system", "user", "assistant", "user"]
        url = f"data:image/png;base64,{PIXEL}"
        assert asked[1]["content"][1] == {"type": "image_url", "image_url": {"url": url}}
        assert "cache_control" in got.told("dropped")


async def test_thinking_goes_back_to_anthropic_byte_by_byte_and_never_to_openai() -> None:
    async with stage() as s:
        s.anthropic.script(Answer(Thinking('Hm … "ø" \\u2028'), Redacted("c2VjcmV0"), "Yes."))
        asked: Any = {"max_tokens": 5000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
        first: Any = await s.claude.messages.create(model=CLAUDE_ONLY, messages=USER, **asked)
        thinking = [block.model_dump(exclude_none=True) for block in first.content]
        assert [block["type"] for block in thinking] == ["thinking", "redacted_thinking", "text"]
        again: Any = [*USER, {"role": "assistant", "content": thinking}, {"role": "user", "content": "Sure?"}]
        await s.claude.messages.create(model=CLAUDE_ONLY, messages=again, **asked)
        assert s.anthropic.requests[-1].document["messages"] == again
        assert json.dumps(thinking, ensure_ascii=False, separators=(",", ":")).encode() in s.anthropic.requests[-1].raw
        other = await s.ask(GPT_ONLY, client=ANTHROPIC, messages=again, **asked)
        assert other.text == "You said: Sure?"
        assert b"thinking" not in s.openai.requests[-1].raw
        assert b"c2VjcmV0" not in s.openai.requests[-1].raw


async def test_the_body_goes_to_its_own_provider_as_it_came_but_for_the_models_name() -> None:
    async with stage() as s:
        odd: Any = {"metadata": {"user_id": "ü"}, "top_k": 3, "a_new_field": {"z": 1, "a": [1.50, None]}}
        await s.ask(CLAUDE_ONLY, client=ANTHROPIC, extra_body=odd)
        through = s.anthropic.requests[-1].raw
        await s.ask(CLAUDE, client=ANTHROPIC, extra_body=odd)
        assert s.anthropic.requests[-1].raw == through


@EACH_MODEL
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_cut_by_its_own_limit_and_one_by_a_stop_sequence(model: str, streamed: bool) -> None:
    async with stage() as s:
        cut = await s.ask(model, client=ANTHROPIC, stream=streamed, max_tokens=2)
        stopped = await s.ask(model, client=ANTHROPIC, stream=streamed, stop_sequences=["there"])
    assert (cut.text, cut.stop, cut.usage) == ("You said:", "max_tokens", (5, 2))
    assert stopped.text == "You said: hi "
    assert stopped.stop == ("stop_sequence" if model == CLAUDE_ONLY else "end_turn")  # OpenAI does not say which


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_of_openais_is_one_of_anthropics(streamed: bool) -> None:
    async with stage() as s:
        s.openai.script(Answer(Refusal("I will not."), stop="content_filter"))
        got = await s.ask(GPT_FIRST, client=ANTHROPIC, stream=streamed)
    assert (got.stop, got.error, s.counts) == ("refusal", None, (1, 0))


@EACH_MODEL
async def test_cached_tokens_are_no_part_of_the_input(model: str) -> None:
    async with stage() as s:
        for provider in (s.openai, s.anthropic):
            provider.script(Answer("Yes.", usage=Usage(input=100, output=1, cached=80)))
        usage = (await s.claude.messages.create(model=model, max_tokens=50, messages=USER)).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (20, 80, 1)


async def test_what_openai_has_no_word_for_is_told_by_name() -> None:
    async with stage() as s:
        got = await s.ask(GPT_ONLY, client=ANTHROPIC, extra_body={"top_k": 3})
        assert (got.told("dropped"), "top_k" in s.openai.requests[0].document) == ("top_k", False)


async def test_anthropics_own_tools_are_for_anthropic_alone() -> None:
    async with stage() as s:
        search: Any = [{"type": "web_search_20250305", "name": "web_search"}]
        refused = await s.ask(GPT_ONLY, client=ANTHROPIC, tools=search)
        assert (refused.kind, refused.status, s.counts) == ("BadRequestError", 400, (0, 0))
        assert "web_search" in str(refused.error)


async def test_where_nothing_may_be_lost_the_first_target_that_loses_nothing_has_it() -> None:
    async with stage(route='translation = "strict"') as s:
        got = await s.ask(GPT_FIRST, client=ANTHROPIC, extra_body={"top_k": 3})
        assert (got.upstream, got.attempts, s.counts) == ("anthropic", 1, (0, 1))
        refused = await s.ask(GPT_ONLY, client=ANTHROPIC, extra_body={"top_k": 3})
        assert (refused.status, "top_k" in str(refused.error)) == (400, True)
        assert (await s.ask(CLAUDE_FIRST, client=ANTHROPIC)).upstream == "anthropic"
