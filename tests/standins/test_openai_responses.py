"""OpenAI's own client against the Responses API of the stand-in."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from sidecar.standins.llm_answers import Answer, Redacted, Refusal, Thinking, ToolCall
from sidecar.standins.llm_faults import Fault, Kind
from sidecar.standins.openai import OpenAIStandin
from tests.kit.llm_caller import GPT, openai_client

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


async def test_it_says_what_it_was_told_and_repeats_what_was_asked() -> None:
    async with openai_client(OpenAIStandin()) as caller:
        told = await caller.responses.create(model=GPT, input="hi there", instructions="Be brief.", temperature=0.5)
    assert told.output_text == "You said: hi there"
    assert (told.status, told.instructions, told.temperature) == ("completed", "Be brief.", 0.5)
    assert told.usage is not None
    assert (told.usage.input_tokens, told.usage.output_tokens, told.usage.total_tokens) == (7, 4, 11)


async def test_a_stream_of_text_has_the_events_of_the_real_one_in_their_order() -> None:
    async with openai_client(OpenAIStandin()) as caller:
        events = [event async for event in await caller.responses.create(model=GPT, input="hi", stream=True)]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(11))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "You said: hi"


async def test_the_client_puts_together_what_thinking_text_and_tools_are_streamed_as() -> None:
    provider = OpenAIStandin()
    calls = (ToolCall("one", {"city": "Kraków"}), ToolCall("two", id="call_2"))
    provider.script(Answer(Thinking("Let me think."), Redacted("xxxx"), "Both, then.", *calls))
    async with openai_client(provider) as caller, caller.responses.stream(model=GPT, input="go") as stream:
        kinds = [event.type async for event in stream]
        told = await stream.get_final_response()
    assert [item.type for item in told.output] == ["reasoning", "message", "function_call", "function_call"]
    assert told.output_text == "Both, then."
    made = [item for item in told.output if item.type == "function_call"]
    assert [(item.name, item.arguments, item.call_id) for item in made] == [
        ("one", '{"city":"Kraków"}', "call_openai_1_2"),
        ("two", "{}", "call_2"),
    ]
    assert kinds.count("response.reasoning_summary_text.delta") == 3
    assert "response.function_call_arguments.done" in kinds


async def test_it_calls_a_tool_and_tells_what_that_said() -> None:
    async with openai_client(OpenAIStandin()) as caller:
        told = await caller.responses.create(model=GPT, input="get_weather!", tools=[WEATHER])
        [call] = told.output
        assert call.type == "function_call"
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        items: Any = [{"role": "user", "content": "get_weather!"}, call.to_dict(), result]
        told = await caller.responses.create(model=GPT, input=items, tools=[WEATHER])
    assert told.output_text == "The tool said: rain"


class Event(BaseModel):
    name: str
    year: int


async def test_structured_output_fits_its_schema() -> None:
    async with openai_client(OpenAIStandin()) as caller:
        told = await caller.responses.parse(model=GPT, input="plan", text_format=Event)
    assert told.output_parsed == Event(name="name", year=1)


@pytest.mark.parametrize("stream", [False, True])
async def test_at_its_limit_it_is_incomplete(stream: bool) -> None:
    async with openai_client(OpenAIStandin()) as caller:
        if stream:
            events = [
                event
                async for event in await caller.responses.create(
                    model=GPT, input="a b c", max_output_tokens=3, stream=True
                )
            ]
            assert events[-1].type == "response.incomplete"
            told = events[-1].response
        else:
            told = await caller.responses.create(model=GPT, input="a b c", max_output_tokens=3)
    assert (told.status, told.output_text) == ("incomplete", "You said: a")
    assert told.incomplete_details is not None
    assert told.incomplete_details.reason == "max_output_tokens"


async def test_a_refusal_is_streamed_as_one() -> None:
    provider = OpenAIStandin()
    provider.script(Answer(Refusal("I will not.")))
    async with openai_client(provider) as caller:
        events = [event async for event in await caller.responses.create(model=GPT, input="hi", stream=True)]
    assert [event.delta for event in events if event.type == "response.refusal.delta"] == ["I", " will", " not."]


async def test_an_error_inside_is_the_last_event() -> None:
    provider = OpenAIStandin(fault=Fault(Kind.ERROR_INSIDE, tokens=1, status=503))
    async with openai_client(provider) as caller:
        events = [event async for event in await caller.responses.create(model=GPT, input="hi", stream=True)]
    assert events[-2].type == "response.output_text.delta"
    assert events[-1].type == "error"
    assert (events[-1].sequence_number, events[-1].code) == (5, "server_error")
    assert events[-1].message == "The engine is currently overloaded, please try again later"
