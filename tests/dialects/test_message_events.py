"""Chat chunks as Anthropic's events: chunks in, bytes out, and what Anthropic's own SDK makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.dialects.message_events import MessageEvents
from sidecar.dialects.translated import BadEvent
from tests.kit.llm_events import calls, chunk, named, said
from tests.kit.played import as_events, as_message

if TYPE_CHECKING:
    from sidecar.llm import Document

ROLE = chunk({"role": "assistant", "content": ""})
USAGE = chunk(usage={"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109})


def told(*chunks: Document) -> bytes:
    """The whole stream."""
    translator = MessageEvents()
    return b"".join(map(translator.feed, chunks)) + translator.end()


TEXT = (ROLE, chunk({"content": "Hello"}), chunk({"content": " world"}), chunk({}, "stop"), USAGE)


def test_a_text_byte_for_byte() -> None:
    assert told(*TEXT) == (
        b"event: message_start\n"
        b'data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"gpt-x",'
        b'"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,'
        b'"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
        b"event: content_block_start\n"
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}\n\n'
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" world"}}\n\n'
        b"event: content_block_stop\n"
        b'data: {"type":"content_block_stop","index":0}\n\n'
        b"event: message_delta\n"
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        b'"usage":{"input_tokens":100,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,'
        b'"output_tokens":9}}\n\n'
        b"event: message_stop\n"
        b'data: {"type":"message_stop"}\n\n'
    )


async def test_the_sdk_reads_every_event_of_it() -> None:
    events = await as_events(told(*TEXT))
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_and_puts_the_message_together() -> None:
    message = await as_message(told(*TEXT))
    assert (message.id, message.model, message.role, message.stop_reason) == ("msg_1", "gpt-x", "assistant", "end_turn")
    assert [block.type == "text" and block.text for block in message.content] == ["Hello world"]
    assert (message.usage.input_tokens, message.usage.output_tokens) == (100, 9)


def test_each_chunk_says_its_part_at_once() -> None:
    translator = MessageEvents()
    assert [name for name, _ in named(translator.feed(ROLE))] == ["message_start"]
    assert said(translator.feed(chunk({"content": "Hi"}))) == ["0 text", "0 + Hi"]
    assert said(translator.feed(chunk({"content": "!"}))) == ["0 + !"]
    assert said(translator.feed(chunk({}, "stop"))) == ["0 stops"]
    assert translator.feed(USAGE) == b""
    assert [name for name, _ in named(translator.end())] == ["message_delta", "message_stop"]


def test_a_first_chunk_without_a_choice_starts_nothing() -> None:
    translator = MessageEvents()
    assert translator.feed({"id": "", "model": "", "choices": [], "prompt_filter_results": []}) == b""
    assert named(translator.feed(ROLE))[0][1]["message"]["id"] == "msg_1"


def test_content_that_is_null_or_empty_opens_no_block() -> None:
    assert said(told(chunk({"role": "assistant", "content": None}), chunk({"content": ""}), chunk({}, "stop"))) == [
        "end_turn"
    ]


def test_reasoning_is_dropped() -> None:
    stream = told(
        ROLE, chunk({"reasoning_content": "Hm.", "reasoning": "Hm."}), chunk({"content": "a"}), chunk({}, "stop")
    )
    assert said(stream) == ["0 text", "0 + a", "0 stops", "end_turn"]
    assert b"Hm." not in stream


def test_content_in_parts_of_text_and_thinking() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    stream = told(
        ROLE, chunk({"content": [thought]}), chunk({"content": [{"type": "text", "text": "a"}]}), chunk({}, "stop")
    )
    assert said(stream) == ["0 text", "0 + a", "0 stops", "end_turn"]


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "tool_use"),
        ("a new one", "end_turn"),
    ],
)
def test_why_it_ended(finish_reason: str, stop_reason: str) -> None:
    assert said(told(ROLE, chunk({"content": "a"}), chunk({}, finish_reason)))[-1] == stop_reason


def test_the_last_delta_may_come_with_the_finish_reason() -> None:
    assert said(told(ROLE, chunk({"content": "a"}, "stop"))) == ["0 text", "0 + a", "0 stops", "end_turn"]


def test_a_finish_reason_that_is_empty_is_none() -> None:
    assert said(told(ROLE, chunk({"content": "a"}, ""), chunk({"content": "b"}, "stop"))) == [
        "0 text",
        "0 + a",
        "0 + b",
        "0 stops",
        "end_turn",
    ]


async def test_a_refusal_is_the_stop_reason_with_its_explanation() -> None:
    message = await as_message(told(ROLE, chunk({"refusal": "Not "}), chunk({"refusal": "this."}), chunk({}, "stop")))
    assert message.content == []
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.explanation == "Not this."


# Usage


def usage_of(*chunks: Document) -> tuple[Document, Document]:
    """As the start and as the end tell it."""
    events = named(told(*chunks))
    return events[0][1]["message"]["usage"], events[-2][1]["usage"]


CACHED = {
    "prompt_tokens": 2310,
    "completion_tokens": 42,
    "total_tokens": 2352,
    "prompt_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 300},
    "completion_tokens_details": {"reasoning_tokens": 30},
}


def test_input_is_corrected_at_the_end_and_what_was_cached_is_no_part_of_it() -> None:
    before, after = usage_of(ROLE, chunk({}, "stop"), chunk(usage=CACHED))
    assert (before["input_tokens"], before["output_tokens"]) == (0, 0)
    assert after == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 2000,
        "output_tokens": 42,
        "output_tokens_details": {"thinking_tokens": 30},
    }


def test_usage_with_every_chunk_is_told_from_the_first_and_as_the_last() -> None:
    def used(output: int) -> Document:
        return {"prompt_tokens": 100, "completion_tokens": output}

    before, after = usage_of(
        chunk({"role": "assistant"}, usage=used(0)),
        chunk({"content": "a"}, usage=used(1)),
        chunk({"content": "b"}, "stop", usage=used(2)),
    )
    assert before["input_tokens"] == 100
    assert (after["input_tokens"], after["output_tokens"]) == (100, 2)


def test_usage_that_is_null_or_never_told_is_zero() -> None:
    assert usage_of(ROLE, chunk({}, "stop", usage=None))[1]["output_tokens"] == 0
    assert usage_of(chunk({}, "stop"))[1]["output_tokens"] == 0


def test_more_cached_than_there_was_is_never_less_than_nothing() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    assert usage_of(ROLE, chunk({}, "stop"), chunk(usage=usage))[1]["input_tokens"] == 0


# What is no stream of one answer


@pytest.mark.parametrize(
    "chunks",
    [
        (chunk({"content": ["a"]}),),
        (chunk({"content": [{"type": "image_url", "image_url": {}}]}),),
        (chunk({"content": [{"type": "text", "text": None}]}),),
        (chunk({"content": 7}),),
        (chunk({"content": "\ud83d"}),),
        (chunk({"refusal": 7}),),
        (chunk({}, finish_reason=7),),  # type: ignore[arg-type] # what a server may say
        (chunk({"audio": {"id": "audio_1"}}),),
        (chunk({"tool_calls": 7}),),
        (chunk({"tool_calls": [7]}),),
        (chunk({"tool_calls": [{"index": "0"}]}),),
        (chunk({"tool_calls": [{"index": 0, "function": 7}]}),),
        (chunk({"tool_calls": [{"index": 0, "id": 7}]}),),
        (chunk({"function_call": 7}),),
        (calls(0, id="c", type="custom", name="n"),),
        (calls(0, id="c"), chunk({}, "tool_calls")),
        (calls(0, id="c", name="a"), calls(0, name="b")),
        (chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "n", "arguments": ["a"]}}]}),),
        (chunk({}, "error"),),
        (calls(0, '"\ud83d', id="c", name="n"),),
        ({"choices": [7]},),
        ({"choices": 7},),
        ({"choices": [{"index": 0, "delta": 7}]},),
        ({"error": {"message": "Overloaded", "type": "server_error"}},),
    ],
)
def test_what_makes_no_message(chunks: tuple[Document, ...]) -> None:
    translator = MessageEvents()
    with pytest.raises(BadEvent):
        b"".join(map(translator.feed, chunks))


def choice(index: int) -> Any:
    return {"index": index, "delta": {"content": "a"}}


def test_a_message_has_no_place_for_a_second_choice() -> None:
    with pytest.raises(BadEvent, match="choices"):
        MessageEvents().feed({"choices": [choice(1)]})
    with pytest.raises(BadEvent, match="choices"):
        MessageEvents().feed({"choices": [choice(0), choice(1)]})


def test_a_stream_that_was_cut_has_no_end() -> None:
    translator = MessageEvents()
    translator.feed(ROLE)
    translator.feed(chunk({"content": "a"}))
    with pytest.raises(BadEvent, match="finish reason"):
        translator.end()
