"""An Anthropic stream as chat chunks: events in, bytes out, and what OpenAI's own SDK makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.dialects.chat_events import ChatEvents
from sidecar.dialects.translated import BadEvent
from tests.kit.llm_events import PING, STOP, block, ends, gives, says, start, stop, tool, unnamed
from tests.kit.played import as_chunks, as_completion

if TYPE_CHECKING:
    from sidecar.llm import Document


def told(*events: Document, usage_asked: bool = False) -> bytes:
    """The whole stream."""
    translator = ChatEvents(created=1700000000, usage_asked=usage_asked)
    return b"".join(map(translator.feed, events)) + translator.end()


def said(*events: Document) -> list[Any]:
    """Each chunk's delta, or its finish reason."""
    chunks = unnamed(told(*events))
    assert chunks.pop() == "[DONE]"
    return [choice["finish_reason"] or choice["delta"] for chunk in chunks for choice in chunk["choices"]]


TEXT = (start(), block(0), PING, says(0, "Hello"), says(0, " world"), stop(0), ends("end_turn"), STOP)


def test_a_text_byte_for_byte() -> None:
    assert told(*TEXT) == (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"claude-x",'
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"claude-x",'
        b'"choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}\n\n'
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"claude-x",'
        b'"choices":[{"index":0,"delta":{"content":" world"},"logprobs":null,"finish_reason":null}]}\n\n'
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"claude-x",'
        b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
        b"data: [DONE]\n\n"
    )


def test_each_event_says_its_part_at_once() -> None:
    translator = ChatEvents(created=7, usage_asked=False)
    assert unnamed(translator.feed(start()))[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert translator.feed(block(0)) == b""
    assert translator.feed(PING) == b""
    assert unnamed(translator.feed(says(0, "Hi")))[0]["choices"][0]["delta"] == {"content": "Hi"}
    assert translator.feed(stop(0)) == b""
    assert unnamed(translator.feed(ends("end_turn")))[0]["choices"][0]["finish_reason"] == "stop"
    assert translator.feed(STOP) == b""
    assert translator.end() == b"data: [DONE]\n\n"


async def test_the_sdk_reads_a_text() -> None:
    chunks = await as_chunks(told(*TEXT))
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Hello", " world", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert {(chunk.id, chunk.model, chunk.created) for chunk in chunks} == {("chatcmpl-1", "claude-x", 1700000000)}


def test_a_tool_call() -> None:
    assert said(
        start(),
        tool(0, "toolu_1", "weather"),
        gives(0, ""),
        gives(0, '{"city":'),
        gives(0, '"Oslo"}'),
        stop(0),
        ends("tool_use"),
        STOP,
    ) == [
        {"role": "assistant", "content": ""},
        {
            "tool_calls": [
                {"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]},
        "tool_calls",
    ]


MIXED = (
    start(),
    block(0, "thinking", thinking="", signature=""),
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
    stop(0),
    block(1, "redacted_thinking", data="eA=="),
    stop(1),
    block(2),
    says(2, "I look. "),
    {"type": "content_block_delta", "index": 2, "delta": {"type": "citations_delta", "citation": {}}},
    stop(2),
    tool(3, "toolu_1", "weather"),
    gives(3, '{"city":"\\ud83d'),
    gives(3, '\\ude00"}'),
    stop(3),
    tool(4, "toolu_2", "now"),
    stop(4),
    block(5),
    says(5, "Wait."),
    stop(5),
    ends("tool_use"),
    STOP,
)


async def test_tool_calls_are_numbered_by_themselves_and_text_stands_on_both_sides_of_them() -> None:
    completion = await as_completion(told(*MIXED))
    message = completion.choices[0].message
    assert message.content == "I look. Wait."
    calls: Any = message.tool_calls
    assert [(call.index, call.id, call.function.name) for call in calls] == [
        (0, "toolu_1", "weather"),
        (1, "toolu_2", "now"),
    ]
    assert completion.choices[0].finish_reason == "tool_calls"


async def test_arguments_split_within_an_escaped_pair_come_out_whole() -> None:
    calls: Any = (await as_completion(told(*MIXED))).choices[0].message.tool_calls
    assert calls[0].function.arguments == '{"city":"\\ud83d\\ude00"}'


async def test_a_tool_that_takes_nothing_gets_an_empty_object() -> None:
    calls: Any = (await as_completion(told(*MIXED))).choices[0].message.tool_calls
    assert calls[1].function.arguments == "{}"


def test_thinking_is_dropped() -> None:
    assert b"Hm." not in told(*MIXED)
    assert b"c2ln" not in told(*MIXED)
    assert b"eA==" not in told(*MIXED)


def test_input_that_was_told_whole_at_the_start_is_told_at_the_stop() -> None:
    assert said(start(), block(0, "tool_use", id="t", name="n", input={"a": 1}), stop(0), ends("tool_use"), STOP)[
        2
    ] == {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]}


def test_text_that_was_told_at_the_start_is_not_lost() -> None:
    assert said(start(), block(0, text="Oh"), stop(0), ends("end_turn"), STOP)[1] == {"content": "Oh"}


def test_a_tool_id_that_we_have_spelled_comes_back_as_the_caller_knows_it() -> None:
    spelled = "sidecar_b64_ZnVuY3Rpb25zLlJlYWQ6MA"
    assert said(start(), tool(0, spelled, "Read"), stop(0), ends("tool_use"), STOP)[1]["tool_calls"][0]["id"] == (
        "functions.Read:0"
    )


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
    ],
)
def test_why_it_ended(stop_reason: str, finish_reason: str) -> None:
    assert said(start(), block(0), says(0, "a"), stop(0), ends(stop_reason), STOP)[-1] == finish_reason


async def test_a_refusal_is_explained() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "I do not help with that."}
    _, refusal, end = await as_chunks(told(start(), ends("refusal", stop_details=details), STOP))
    assert refusal.choices[0].delta.refusal == "I do not help with that."
    assert end.choices[0].finish_reason == "content_filter"


def test_a_message_delta_without_a_reason_ends_nothing() -> None:
    assert said(start(), ends(None), block(0), says(0, "a"), stop(0), ends("end_turn"), STOP)[1:] == [
        {"content": "a"},
        "stop",
    ]


def test_a_message_that_stops_without_a_reason_has_ended_well() -> None:
    assert said(start(), block(0), says(0, "a"), stop(0), STOP)[-1] == "stop"


def test_a_tool_call_that_was_never_stopped_is_complete_even_so() -> None:
    assert said(start(), tool(0, "t", "now"), ends("tool_use"), STOP)[2:] == [
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        "tool_calls",
    ]


CACHED = {"input_tokens": 10, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 2000, "output_tokens": 1}


async def test_usage_that_was_asked_for_counts_the_cache_and_what_was_told_last() -> None:
    late = {"output_tokens": 42, "output_tokens_details": {"thinking_tokens": 30}}
    stream = told(start(CACHED), block(0), says(0, "a"), stop(0), ends("end_turn", late), STOP, usage_asked=True)
    *before, last = await as_chunks(stream)
    assert [chunk.usage for chunk in before] == [None] * len(before)
    assert b'"usage":null' in stream
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.to_dict() == {
        "prompt_tokens": 2310,
        "completion_tokens": 42,
        "total_tokens": 2352,
        "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 300},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }


def test_usage_that_nobody_asked_for_is_not_told() -> None:
    assert b"usage" not in told(*TEXT)


def test_counts_that_were_corrected_at_the_end_are_told_so() -> None:
    stream = told(
        start({"input_tokens": 0}), ends("end_turn", {"input_tokens": 9, "output_tokens": 2}), STOP, usage_asked=True
    )
    assert unnamed(stream)[-2]["usage"]["prompt_tokens"] == 9


def test_events_and_deltas_that_nobody_knows_say_nothing() -> None:
    translator = ChatEvents(created=7, usage_asked=False)
    translator.feed(start())
    translator.feed(block(0))
    assert translator.feed({"type": "mood", "mood": "good"}) == b""
    assert translator.feed({"type": "content_block_delta", "index": 0, "delta": {"type": "mood_delta"}}) == b""
    assert translator.feed({}) == b""


@pytest.mark.parametrize(
    "kind",
    [
        "server_tool_use",
        "web_search_tool_result",
        "code_execution_tool_result",
        "container_upload",
        "a new one",
        7,
        [],
        None,
    ],
)
def test_a_block_that_chat_has_no_place_for_cannot_be_said(kind: Any) -> None:
    translator = ChatEvents(created=7, usage_asked=False)
    translator.feed(start())
    with pytest.raises(BadEvent, match="no place"):
        translator.feed({"type": "content_block_start", "index": 0, "content_block": {"type": kind}})


@pytest.mark.parametrize(
    "events",
    [
        (says(0, "a"),),
        (block(0, text="a"),),
        (STOP,),
        (start(), start()),
        (start(), says(0, "a")),
        (start(), stop(0)),
        (start(), block(0), block(0)),
        (start(), block(0), gives(0, "{}")),
        (start(), tool(0, "t", "n"), says(0, "a")),
        (start(), block(0), stop(0), says(0, "a")),
        (start(), block(0), {"type": "content_block_delta", "index": 0}),
        (start(), {"type": "content_block_start", "index": "0", "content_block": {"type": "text", "text": ""}}),
        (start(), block(0, "tool_use", id=None, name="n")),
        (start(), block(0, "tool_use", id="t")),
        (start(), block(0), says(0, "\ud83d")),
        (start(), {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        (start(), ends("end_turn"), STOP, block(0, text="a")),
        ({"type": "message_start"},),
    ],
)  # fmt: skip
def test_what_makes_no_stream(events: tuple[Document, ...]) -> None:
    translator = ChatEvents(created=7, usage_asked=False)
    with pytest.raises(BadEvent):
        b"".join(map(translator.feed, events))


def test_a_stream_that_was_cut_has_no_end() -> None:
    translator = ChatEvents(created=7, usage_asked=False)
    b"".join(map(translator.feed, TEXT[:-1]))
    with pytest.raises(BadEvent, match="message_stop"):
        translator.end()
