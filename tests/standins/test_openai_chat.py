"""OpenAI's own client against the stand-in: whole answers and streams, tools, structured output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from sidecar.llm import Usage
from sidecar.standins.llm_answers import Answer, Refusal, Thinking, ToolCall
from sidecar.standins.llm_faults import Fault, Kind
from sidecar.standins.openai import OpenAIStandin
from tests.kit.llm_caller import GPT, bytes_of, chat, openai_client

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam


def tool(name: str) -> ChatCompletionToolParam:
    schema: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


def asking(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


async def test_it_says_what_it_was_told() -> None:
    provider = OpenAIStandin()
    async with openai_client(provider) as caller:
        told = await caller.chat.completions.create(model=GPT, messages=asking("hi there"))
    assert told.choices[0].message.content == "You said: hi there"
    assert told.choices[0].finish_reason == "stop"
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens, told.usage.total_tokens) == (5, 4, 9)
    seen = provider.requests[-1]
    assert (seen.method, seen.path, seen.model) == ("POST", "/v1/chat/completions", GPT)
    assert seen.header("authorization") == "Bearer sk-mine"
    assert seen.body == {"messages": [{"role": "user", "content": "hi there"}], "model": GPT}


async def test_a_stream_has_the_role_first_then_words_the_reason_and_the_usage_if_asked() -> None:
    async with openai_client(OpenAIStandin()) as caller:
        stream = await caller.chat.completions.create(
            model=GPT, messages=asking("hi there"), stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    first, *middle, finish, usage = chunks
    assert first.choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.content for chunk in middle] == ["You", " said:", " hi", " there"]
    assert finish.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.total_tokens == 9
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


async def test_it_calls_the_tools_that_are_named_and_tells_what_they_said() -> None:
    tools = [tool("get_weather"), tool("get_time"), tool("send_mail")]
    async with openai_client(OpenAIStandin()) as caller:
        messages: list[Any] = asking("get_time and get_weather please")
        told = await caller.chat.completions.create(model=GPT, messages=messages, tools=tools)
        assert told.choices[0].finish_reason == "tool_calls"
        calls = told.choices[0].message.tool_calls
        assert calls is not None
        assert [(call.type == "function" and call.function.name) for call in calls] == ["get_weather", "get_time"]
        assert told.choices[0].message.content is None
        messages.append(told.choices[0].message.to_dict())
        result: Any = {"role": "tool", "tool_call_id": calls[0].id, "content": "rain"}
        with pytest.raises(openai.BadRequestError, match="did not have response messages: call_openai_1_1"):
            await caller.chat.completions.create(model=GPT, messages=[*messages, result], tools=tools)
        messages += [{"role": "tool", "tool_call_id": call.id, "content": f"rain {call.id}"} for call in calls]
        told = await caller.chat.completions.create(model=GPT, messages=messages, tools=tools)
    assert told.choices[0].message.content == "The tool said: rain call_openai_1_0 rain call_openai_1_1"


@pytest.mark.parametrize(
    ("choice", "parallel", "called"),
    [
        ("none", True, []),
        ("required", True, ["a_tool"]),
        ({"type": "function", "function": {"name": "b_tool"}}, True, ["b_tool"]),
        ("auto", False, ["a_tool"]),
    ],
)
async def test_a_choice_of_tools_is_kept(choice: Any, parallel: bool, called: list[str]) -> None:
    async with openai_client(OpenAIStandin()) as caller:
        told = await caller.chat.completions.create(
            model=GPT,
            messages=asking("b_tool or a_tool" if choice == "auto" else "do it"),
            tools=[tool("a_tool"), tool("b_tool")],
            tool_choice=choice,
            parallel_tool_calls=parallel,
        )
    calls = told.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == called


@pytest.mark.parametrize("interleaved", [False, True])
async def test_scripted_tools_are_streamed_in_pieces_that_make_the_arguments(interleaved: bool) -> None:
    provider = OpenAIStandin()
    calls = (ToolCall("one", {"city": "Kraków 😀", "n": 1}), ToolCall("two", {"city": "Łódź"}, id="functions.two:0"))
    provider.script(Answer("Let me see.", *calls, interleaved=interleaved))
    async with (
        openai_client(provider) as caller,
        caller.chat.completions.stream(model=GPT, messages=asking("go")) as stream,
    ):
        order = [
            chunk.index
            async for event in stream
            if event.type == "chunk" and event.chunk.choices
            for chunk in event.chunk.choices[0].delta.tool_calls or []
        ]
        told = (await stream.get_final_completion()).choices[0]
    assert told.finish_reason == "tool_calls"
    assert told.message.content == "Let me see."
    made = told.message.tool_calls or []
    assert [(call.id, call.function.arguments) for call in made] == [
        ("call_openai_1_0", '{"city":"Kraków 😀","n":1}'),
        ("functions.two:0", '{"city":"Łódź"}'),
    ]
    assert (order == sorted(order)) is not interleaved


class Event(BaseModel):
    name: str
    people: list[str]
    year: int


async def test_structured_output_fits_its_schema() -> None:
    async with openai_client(OpenAIStandin()) as caller:
        told = await caller.chat.completions.parse(model=GPT, messages=asking("plan"), response_format=Event)
        assert told.choices[0].message.parsed == Event(name="name", people=["people"], year=1)
        plain = await caller.chat.completions.create(
            model=GPT, messages=asking("plan"), response_format={"type": "json_object"}
        )
        assert plain.choices[0].message.content == "{}"


async def test_a_scripted_answer_is_told_as_it_is_and_then_its_own_again() -> None:
    provider = OpenAIStandin()
    provider.script(
        Answer(Refusal("I will not."), stop="content_filter", usage=Usage(100, 20, 30), headers={"x-more": "1"}),
        ["He", "llo"],
    )
    async with openai_client(provider) as caller:
        raw = await caller.chat.completions.with_raw_response.create(model=GPT, messages=asking("hi"))
        told = raw.parse()
        assert raw.headers["x-more"] == "1"
        assert told.choices[0].finish_reason == "content_filter"
        assert told.choices[0].message.refusal == "I will not."
        assert told.usage is not None
        assert told.usage.prompt_tokens_details is not None
        assert (told.usage.total_tokens, told.usage.prompt_tokens_details.cached_tokens) == (120, 30)
        stream = await caller.chat.completions.create(model=GPT, messages=asking("hi"), stream=True)
        deltas = [chunk.choices[0].delta.content async for chunk in stream]
        assert [delta for delta in deltas if delta] == ["He", "llo"]
        told = await caller.chat.completions.create(model=GPT, messages=asking("hi"))
        assert told.choices[0].message.content == "You said: hi"


async def test_thinking_is_only_counted() -> None:
    provider = OpenAIStandin()
    provider.script(Answer(Thinking("a b c"), "Yes."))
    async with openai_client(provider) as caller:
        told = await caller.chat.completions.create(model=GPT, messages=asking("hi"))
    assert told.choices[0].message.content == "Yes."
    assert told.usage is not None
    assert told.usage.completion_tokens_details is not None
    assert (told.usage.completion_tokens, told.usage.completion_tokens_details.reasoning_tokens) == (4, 3)


async def test_it_ends_at_its_limit_or_at_a_stop() -> None:
    async with openai_client(OpenAIStandin()) as caller:
        told = await caller.chat.completions.create(model=GPT, messages=asking("a b c"), max_completion_tokens=3)
        assert (told.choices[0].message.content, told.choices[0].finish_reason) == ("You said: a", "length")
        told = await caller.chat.completions.create(model=GPT, messages=asking("a b c"), stop=[" b"])
        assert (told.choices[0].message.content, told.choices[0].finish_reason) == ("You said: a", "stop")


@pytest.mark.parametrize("stream", [False, True])
async def test_it_makes_as_many_choices_as_were_asked(stream: bool) -> None:
    async with OpenAIStandin() as provider:
        told = await bytes_of(provider, chat("hi", n=2, stream=stream))
    assert told.body.count(b'"index":1') == (5 if stream else 1)


async def test_tools_may_be_called_under_the_reason_of_a_text() -> None:
    provider = OpenAIStandin(fault=Fault(Kind.STOP_WITH_TOOLS))
    provider.script(Answer(ToolCall("one")))
    async with openai_client(provider) as caller:
        told = await caller.chat.completions.create(model=GPT, messages=asking("hi"))
    assert told.choices[0].finish_reason == "stop"
    assert told.choices[0].message.tool_calls


async def test_a_whole_answer_may_have_no_reason() -> None:
    async with OpenAIStandin(fault=Fault(Kind.NO_FINISH)) as provider:
        assert b'"finish_reason":null' in (await bytes_of(provider, chat())).body
