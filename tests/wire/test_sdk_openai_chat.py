"""OpenAI's own client, sync and async, whole and streamed: it cannot tell which provider answers."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from sidecar.llm import Usage
from sidecar.standins.llm_answers import Answer, Thinking, ToolCall
from tests.kit.llm_caller import CLAUDE, GPT
from tests.kit.llm_stage import CLAUDE_FIRST, CLAUDE_ONLY, GPT_ONLY, HI, NO_TLS, SAID, Stage, stage

if TYPE_CHECKING:
    from tests.kit.running import Running

EACH = pytest.mark.parametrize(("model", "answers"), [(GPT_ONLY, GPT), (CLAUDE_ONLY, CLAUDE)])
EACH_MODEL = pytest.mark.parametrize("model", [GPT_ONLY, CLAUDE_ONLY])

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
USER: Any = [{"role": "user", "content": HI}]


def tool(name: str) -> dict[str, Any]:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": "It tells.", "parameters": city}}


WEATHER_AND_TIME: Any = [tool("get_weather"), tool("get_time")]


class Person(BaseModel):
    name: str
    age: int


def asked_of(s: Stage, model: str) -> dict[str, Any]:
    """The last request that the model's provider got."""
    provider = s.openai if model == GPT_ONLY else s.anthropic
    return provider.requests[-1].document


@EACH
async def test_a_whole_answer(model: str, answers: str) -> None:
    async with stage() as s:
        raw = await s.gpt.chat.completions.with_raw_response.create(model=model, messages=USER)
        completion = raw.parse()
        [choice] = completion.choices
        assert (choice.message.content, choice.message.role, choice.finish_reason) == (SAID, "assistant", "stop")
        assert (completion.model, completion.object, choice.index) == (answers, "chat.completion", 0)
        assert completion.usage is not None
        assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens == 9
        assert (raw.headers["x-sidecar-model"], raw.headers["x-sidecar-attempts"]) == (answers, "1")
        assert raw.headers["x-request-id"] == raw.request_id
        assert completion.id


@EACH
async def test_a_stream(model: str, answers: str) -> None:
    async with stage() as s:
        stream = await s.gpt.chat.completions.create(model=model, messages=USER, stream=True)
        chunks = [chunk async for chunk in stream]
        deltas = [chunk.choices[0].delta for chunk in chunks]
        assert (deltas[0].role, deltas[0].content) == ("assistant", "")
        assert [delta.content for delta in deltas if delta.content] == ["You", " said:", " hi", " there"]
        assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]
        assert {(chunk.model, chunk.object) for chunk in chunks} == {(answers, "chat.completion.chunk")}
        assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
        assert not any(chunk.usage for chunk in chunks)


@EACH_MODEL
async def test_a_streams_usage_comes_in_a_chunk_of_its_own_where_it_is_asked_for(model: str) -> None:
    async with stage() as s:
        told: Any = {"include_usage": True}
        stream = await s.gpt.chat.completions.create(model=model, messages=USER, stream=True, stream_options=told)
        chunks = [chunk async for chunk in stream]
        assert chunks[-1].choices == []
        assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert chunks[-1].usage is not None
        assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (5, 4)


@EACH_MODEL
async def test_the_clients_own_helper_puts_a_stream_together(model: str) -> None:
    async with stage() as s, s.gpt.chat.completions.stream(model=model, messages=USER) as stream:
        deltas = [event.delta async for event in stream if event.type == "content.delta"]
        completion = await stream.get_final_completion()
    assert "".join(deltas) == SAID
    assert completion.choices[0].message.content == SAID


@EACH
async def test_the_client_that_is_not_async(model: str, answers: str) -> None:
    def use(sidecar: Running) -> tuple[str | None, str, str]:
        http = openai.DefaultHttpxClient(verify=NO_TLS)
        with openai.OpenAI(base_url=f"{sidecar.url}/v1", api_key="sk-caller", http_client=http) as client:
            whole = client.chat.completions.create(model=model, messages=USER)
            stream: Any = client.chat.completions.create(model=model, messages=USER, stream=True)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            return whole.choices[0].message.content, text, whole.model

    async with stage() as s:
        assert await asyncio.to_thread(use, s.sidecar) == (SAID, SAID, answers)


@EACH_MODEL
@pytest.mark.parametrize("streamed", [False, True])
async def test_tools_called_in_parallel_and_their_results(model: str, streamed: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "get_weather and get_time in Oslo"}]
    async with stage() as s:
        if streamed:
            helper = s.gpt.chat.completions.stream(model=model, messages=messages, tools=WEATHER_AND_TIME)
            async with helper as stream:
                choice: Any = (await stream.get_final_completion()).choices[0]
        else:
            whole = await s.gpt.chat.completions.create(model=model, messages=messages, tools=WEATHER_AND_TIME)
            choice = whole.choices[0]
        calls = choice.message.tool_calls
        assert choice.finish_reason == "tool_calls"
        assert not choice.message.content
        assert [call.function.name for call in calls] == ["get_weather", "get_time"]
        assert all(isinstance(json.loads(call.function.arguments)["city"], str) for call in calls)
        assert len({call.id for call in calls}) == 2
        said = [{"id": call.id, "type": "function", "function": call.function.model_dump()} for call in calls]
        for one in said:
            one["function"].pop("parsed_arguments", None)
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": f"{at} degrees"} for at, call in enumerate(calls)
        ]
        messages += [{"role": "assistant", "tool_calls": said}, *results]
        second = await s.gpt.chat.completions.create(model=model, messages=messages, tools=WEATHER_AND_TIME)
        assert second.choices[0].message.content == "The tool said: 0 degrees 1 degrees"
        assert second.choices[0].finish_reason == "stop"


@EACH_MODEL
async def test_one_tool_at_a_time_and_one_that_must_be_called(model: str) -> None:
    both = [{"role": "user", "content": "get_weather and get_time in Oslo"}]
    forced: Any = {"type": "function", "function": {"name": "get_time"}}
    async with stage() as s:
        asked: dict[str, Any] = {"model": model, "messages": both, "tools": WEATHER_AND_TIME}
        one = await s.gpt.chat.completions.create(**asked, parallel_tool_calls=False)
        named = await s.gpt.chat.completions.create(**asked, tool_choice=forced)
        none = await s.gpt.chat.completions.create(**asked, tool_choice="none")
    assert [len(answer.choices[0].message.tool_calls or ()) for answer in (one, named, none)] == [1, 1, 0]
    [call] = named.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_time"


@EACH_MODEL
async def test_a_tool_without_arguments_in_a_stream(model: str) -> None:
    async with stage() as s:
        for provider in (s.openai, s.anthropic):
            provider.script(Answer("Let me see. ", ToolCall("get_time", "" if provider is s.anthropic else "{}")))
        got = await s.ask(model, stream=True, tools=WEATHER_AND_TIME)
    assert (got.text, got.tools, got.stop) == ("Let me see. ", [("get_time", "{}")], "tool_calls")


@EACH_MODEL
async def test_structured_output_through_the_parse_helper(model: str) -> None:
    async with stage() as s:
        parsed = await s.gpt.chat.completions.parse(model=model, messages=USER, response_format=Person)
        streamed = s.gpt.chat.completions.stream(model=model, messages=USER, response_format=Person)
        async with streamed as stream:
            final = await stream.get_final_completion()
    assert isinstance(parsed.choices[0].message.parsed, Person)
    assert final.choices[0].message.parsed == parsed.choices[0].message.parsed


async def test_json_without_a_schema_is_for_openai_alone() -> None:
    async with stage() as s:
        form = {"type": "json_object"}
        whole = await s.ask(GPT_ONLY, response_format=form)
        assert json.loads(whole.text) == {}
        refused = await s.ask(CLAUDE_ONLY, response_format=form)
        assert (refused.kind, refused.status) == ("BadRequestError", 400)
        assert s.counts == (1, 0)


@EACH_MODEL
async def test_a_system_prompt_a_picture_and_another_turn(model: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]},
        {"role": "assistant", "content": "A pixel."},
        {"role": "user", "content": "Sure?"},
    ]
    async with stage() as s:
        answer = await s.gpt.chat.completions.create(model=model, messages=messages)
        asked = asked_of(s, model)
    assert answer.choices[0].message.content == "You said: Sure?"
    if model == GPT_ONLY:
        assert asked["messages"] == messages
        return
    assert asked["system"] == "Be brief."
    roles = [one["role"] for one in asked["messages"]]
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert (roles, asked["messages"][0]["content"][1]) == (
        ["user", "assistant", "user"],
        {"type": "image", "source": source},
    )


@EACH_MODEL
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_cut_by_its_own_limit(model: str, streamed: bool) -> None:
    async with stage() as s:
        got = await s.ask(model, stream=streamed, max_completion_tokens=2)
    assert (got.text, got.stop, got.usage) == ("You said:", "length", (5, 2))


@EACH_MODEL
async def test_a_stop_sequence(model: str) -> None:
    async with stage() as s:
        got = await s.ask(model, stop=["there"])
    assert (got.text, got.stop) == ("You said: hi ", "stop")


async def test_a_refusal_of_claudes_is_a_content_filter_and_no_error() -> None:
    async with stage() as s:
        s.anthropic.script(Answer("No.", stop="refusal"), Answer("No.", stop="refusal"))
        whole = await s.ask(CLAUDE_FIRST)
        streamed = await s.ask(CLAUDE_FIRST, stream=True)
    assert [(got.text, got.stop, got.error) for got in (whole, streamed)] == [("No.", "content_filter", None)] * 2
    assert s.counts == (0, 2)


@EACH_MODEL
async def test_cached_tokens_are_a_part_of_the_prompt(model: str) -> None:
    async with stage() as s:
        for provider in (s.openai, s.anthropic):
            provider.script(Answer("Yes.", usage=Usage(input=100, output=1, cached=80)))
        whole = await s.gpt.chat.completions.create(model=model, messages=USER)
    assert whole.usage is not None
    assert whole.usage.prompt_tokens_details is not None
    assert (whole.usage.prompt_tokens, whole.usage.prompt_tokens_details.cached_tokens) == (100, 80)


async def test_what_claude_thinks_is_not_the_answer() -> None:
    async with stage() as s:
        for _ in range(2):
            s.anthropic.script(Answer(Thinking("Hm, hm."), "Yes."))
        whole = await s.ask(CLAUDE_ONLY, reasoning_effort="high")
        streamed = await s.ask(CLAUDE_ONLY, reasoning_effort="high", stream=True)
        assert s.anthropic.requests[0].document["output_config"]["effort"] == "high"
    assert (whole.text, streamed.text) == ("Yes.", "Yes.")


async def test_what_claude_cannot_have_is_told_by_name_and_goes_to_openai_as_it_came() -> None:
    async with stage() as s:
        lost: dict[str, Any] = {"seed": 4, "logit_bias": {"50256": -100}, "temperature": 1.5, "presence_penalty": 0.5}
        dropped = (await s.ask(CLAUDE_ONLY, **lost)).told("dropped")
        kept = await s.ask(GPT_ONLY, **lost)
        assert {name.strip() for name in dropped.split(",")} == lost.keys()
        assert kept.told("dropped") == ""
        assert lost.items() <= s.openai.requests[0].document.items()


async def test_two_choices_are_for_openai_alone() -> None:
    async with stage() as s:
        completion = await s.gpt.chat.completions.create(model=CLAUDE_FIRST, messages=USER, n=2)
        assert (len(completion.choices), completion.model, s.counts) == (2, GPT, (1, 0))
        refused = await s.ask(CLAUDE_ONLY, n=2)
        assert (refused.kind, "n" in str(refused.error)) == ("BadRequestError", True)
