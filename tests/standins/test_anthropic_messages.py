"""Anthropic's own client against the stand-in: whole answers and streams, tools, thinking, structured output."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from sidecar.llm import Usage
from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.llm_answers import Answer, Redacted, Refusal, Thinking, ToolCall
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_caller import CLAUDE, anthropic_client, bytes_of, message

ADAPTIVE: Any = {"type": "adaptive"}


def tool(name: str) -> Any:
    return {"name": name, "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def asking(text: str) -> Any:
    return [{"role": "user", "content": text}]


def text_of(told: anthropic.types.Message) -> str:
    return "".join(block.text for block in told.content if block.type == "text")


async def test_it_says_what_it_was_told() -> None:
    provider = AnthropicStandin()
    async with anthropic_client(provider) as caller:
        told = await caller.messages.create(model=CLAUDE, max_tokens=100, messages=asking("hi there"), system="Brief!")
    assert [block.to_dict() for block in told.content] == [
        {"type": "text", "text": "You said: hi there", "citations": None}
    ]
    assert (told.stop_reason, told.model) == ("end_turn", CLAUDE)
    assert (told.usage.input_tokens, told.usage.output_tokens) == (6, 4)
    seen = provider.requests[-1]
    assert (seen.method, seen.path, seen.model) == ("POST", "/v1/messages", CLAUDE)
    assert seen.document["system"] == "Brief!"


async def test_a_stream_has_the_events_of_the_real_one_in_their_order() -> None:
    async with AnthropicStandin() as provider:
        chunks, ended = (await bytes_of(provider, message("hi", stream=True))).chunks
    assert [chunk.partition(b"\n")[0].decode() for chunk in chunks] == [
        "event: message_start",
        "event: content_block_start",
        "event: ping",
        "event: content_block_delta",
        "event: content_block_delta",
        "event: content_block_delta",
        "event: content_block_stop",
        "event: message_delta",
        "event: message_stop",
    ]
    assert ended
    assert b'"stop_reason":null' in chunks[0]
    assert b'"stop_reason":"end_turn"' in chunks[7]


async def test_the_client_puts_a_stream_together() -> None:
    provider = AnthropicStandin()
    calls = (ToolCall("one", {"city": "Kraków 😀"}), ToolCall("two", id="toolu_x"))
    provider.script(
        Answer(Thinking("Let me think."), Redacted("xxxx"), "Both.", *calls, usage=Usage(100, 20, 30), cache_written=50)
    )
    async with (
        anthropic_client(provider) as caller,
        caller.messages.stream(model=CLAUDE, max_tokens=100, messages=asking("go")) as stream,
    ):
        told = await stream.get_final_message()
    assert [block.type for block in told.content] == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    assert text_of(told) == "Both."
    made = [block for block in told.content if block.type == "tool_use"]
    assert [(block.id, block.name, block.input) for block in made] == [
        ("toolu_anthropic_1_0", "one", {"city": "Kraków 😀"}),
        ("toolu_x", "two", {}),
    ]
    assert told.stop_reason == "tool_use"
    usage = told.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (20, 30, 50)
    assert usage.output_tokens == 20


async def test_a_tool_without_input_has_no_delta() -> None:
    async with AnthropicStandin() as provider:
        provider.script(Answer(ToolCall("one")), Answer(ToolCall("one", {"a": 1})))
        bare = await bytes_of(provider, message(stream=True))
        full = await bytes_of(provider, message(stream=True))
    assert b"input_json_delta" not in bare.body
    assert b'{"type":"input_json_delta","partial_json":""}' in full.body


async def test_it_calls_the_tools_that_are_named_and_tells_what_they_said() -> None:
    tools = [tool("get_weather"), tool("get_time"), tool("send_mail")]
    async with anthropic_client(AnthropicStandin()) as caller:
        messages: list[Any] = asking("get_time and get_weather please")
        told = await caller.messages.create(model=CLAUDE, max_tokens=100, messages=messages, tools=tools)
        calls = [block for block in told.content if block.type == "tool_use"]
        assert [(call.name, call.input) for call in calls] == [
            ("get_weather", {"city": "city"}),
            ("get_time", {"city": "city"}),
        ]
        messages.append({"role": "assistant", "content": told.content})
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": call.name} for call in calls]
        messages.append({"role": "user", "content": results})
        told = await caller.messages.create(model=CLAUDE, max_tokens=100, messages=messages, tools=tools)
    assert text_of(told) == "The tool said: get_weather get_time"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "none"}, []),
        ({"type": "any"}, ["a_tool", "b_tool"]),
        ({"type": "any", "disable_parallel_tool_use": True}, ["a_tool"]),
        ({"type": "tool", "name": "b_tool"}, ["b_tool"]),
    ],
)
async def test_a_choice_of_tools_is_kept(choice: Any, called: list[str]) -> None:
    async with anthropic_client(AnthropicStandin()) as caller:
        told = await caller.messages.create(
            model=CLAUDE,
            max_tokens=100,
            messages=asking("a_tool b_tool"),
            tools=[tool("a_tool"), tool("b_tool")],
            tool_choice=choice,
        )
    assert [block.name for block in told.content if block.type == "tool_use"] == called


async def test_thinking_goes_round_and_is_refused_when_it_was_touched() -> None:
    async with anthropic_client(AnthropicStandin()) as caller:
        first = await caller.messages.create(model=CLAUDE, max_tokens=100, messages=asking("hi"), thinking=ADAPTIVE)
        [thought, _] = [block.to_dict() for block in first.content]
        assert thought["thinking"] == "The caller said: hi"
        assert first.usage.output_tokens_details is not None
        assert first.usage.output_tokens_details.thinking_tokens == 4
        rest = [{"type": "text", "text": "x"}]

        async def again(block: dict[str, Any]) -> None:
            turns: list[Any] = [*asking("hi"), {"role": "assistant", "content": [block, *rest]}, *asking("on")]
            await caller.messages.create(model=CLAUDE, max_tokens=100, messages=turns)

        await again(thought)
        for touched in ({"thinking": "The caller said: hi "}, {"signature": str(thought["signature"])[:-4] + "AAA="}):
            with pytest.raises(anthropic.BadRequestError, match=r"messages.1.content.0: Invalid `signature`"):
                await again({**thought, **touched})


async def test_a_signature_of_the_test_s_own_is_remembered() -> None:
    provider = AnthropicStandin()
    provider.script(Answer(Thinking("Hm.", "c2lnbmF0dXJl"), "Yes."))
    async with anthropic_client(provider) as caller:
        told = await caller.messages.create(model=CLAUDE, max_tokens=100, messages=asking("hi"))
        turns = [*asking("hi"), {"role": "assistant", "content": told.content}, *asking("on")]
        assert text_of(await caller.messages.create(model=CLAUDE, max_tokens=9, messages=turns)) == "You said: on"


async def test_thinking_that_is_not_shown_still_has_its_signature() -> None:
    shown: Any = {"type": "adaptive", "display": "omitted"}
    async with anthropic_client(AnthropicStandin()) as caller:
        async with caller.messages.stream(
            model=CLAUDE, max_tokens=100, messages=asking("hi"), thinking=shown
        ) as stream:
            told = await stream.get_final_message()
        [thought, _] = told.content
        assert thought.type == "thinking"
        assert (thought.thinking, bool(thought.signature)) == ("", True)
        turns = [*asking("hi"), {"role": "assistant", "content": told.content}, *asking("on")]
        assert text_of(await caller.messages.create(model=CLAUDE, max_tokens=9, messages=turns)) == "You said: on"


class Event(BaseModel):
    name: str
    year: int


async def test_structured_output_fits_its_schema() -> None:
    async with anthropic_client(AnthropicStandin()) as caller:
        told = await caller.messages.parse(model=CLAUDE, max_tokens=100, messages=asking("plan"), output_format=Event)
    assert told.parsed_output == Event(name="name", year=1)


async def test_a_refusal_is_an_answer() -> None:
    provider = AnthropicStandin()
    provider.script(Answer(Refusal("It could harm.")))
    async with anthropic_client(provider) as caller:
        told = await caller.messages.create(model=CLAUDE, max_tokens=100, messages=asking("hi"))
    assert (told.stop_reason, told.content) == ("refusal", [])
    assert told.stop_details is not None
    assert told.stop_details.explanation == "It could harm."


async def test_it_ends_at_its_limit_or_at_a_stop() -> None:
    async with anthropic_client(AnthropicStandin()) as caller:
        told = await caller.messages.create(model=CLAUDE, max_tokens=3, messages=asking("a b c"))
        assert (text_of(told), told.stop_reason) == ("You said: a", "max_tokens")
        told = await caller.messages.create(
            model=CLAUDE, max_tokens=100, messages=asking("a b c"), stop_sequences=[" b"]
        )
    assert (text_of(told), told.stop_reason, told.stop_sequence) == ("You said: a", "stop_sequence", " b")


async def test_what_is_begun_is_continued() -> None:
    turns = [*asking("hi there"), {"role": "assistant", "content": "You said:"}]
    async with anthropic_client(AnthropicStandin()) as caller:
        told = await caller.messages.create(model=CLAUDE, max_tokens=100, messages=turns)
    assert text_of(told) == " hi there"
    async with anthropic_client(AnthropicStandin(prefills=False)) as caller:
        with pytest.raises(anthropic.BadRequestError, match="does not support assistant message prefill"):
            await caller.messages.create(model=CLAUDE, max_tokens=100, messages=turns)


async def test_tools_may_be_called_under_the_reason_of_a_text() -> None:
    provider = AnthropicStandin(fault=Fault(Kind.STOP_WITH_TOOLS))
    provider.script(Answer(ToolCall("one")))
    async with anthropic_client(provider) as caller:
        told = await caller.messages.create(model=CLAUDE, max_tokens=100, messages=asking("hi"))
    assert (told.stop_reason, told.content[0].type) == ("end_turn", "tool_use")
