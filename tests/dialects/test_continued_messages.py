"""Anthropic's streams that go on in another: what the caller's client makes of both."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.continued import Continued
from sidecar.dialects.sse_writing import named_event
from sidecar.dialects.translated import BadEvent
from sidecar.llm import Kind
from tests.kit.llm_events import (
    PING,
    STOP,
    block,
    damaged,
    documents,
    ends,
    gives,
    named,
    said,
    says,
    start,
    stop,
    tool,
)
from tests.kit.played import as_message

if TYPE_CHECKING:
    from sidecar.llm import Document

FIRST = [start(id="msg_first", model="first"), block(0), says(0, "One, ")]
SECOND = [start(), block(0), says(0, " two"), stop(0), ends("end_turn"), STOP]


def broken(*streams: list[Document]) -> Continued:
    """Behind these, each of which has said "One, " and broke."""
    continued = Continued(Kind.MESSAGES)
    read = ""
    for number, stream in enumerate(streams):
        for event in stream:
            if number:
                continued.feed(event)
            else:
                continued.first(event)
        read += "One, "
        continued.prefix(read)
    return continued


def behind(*streams: list[Document]) -> bytes:
    """What the caller gets of the last stream."""
    continued = broken(*streams[:-1])
    return b"".join(map(continued.feed, streams[-1])) + continued.end()


def whole(before: list[Document], *others: list[Document]) -> bytes:
    """What it gets of all of them."""
    return b"".join(map(named_event, before)) + b"".join(
        behind(before, *others[:number], stream) for number, stream in enumerate(others)
    )


def test_byte_for_byte() -> None:
    continued = broken(FIRST)
    begin, text_block, text, block_stop, end, message_stop = SECOND
    assert continued.feed(begin) == b""
    assert continued.feed(text_block) == b""
    assert continued.feed(PING) == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert continued.feed(text) == (
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"two"}}\n\n'
    )
    assert continued.feed(block_stop) == (
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    )
    assert continued.feed(end) == (
        b"event: message_delta\n"
        b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        b'"usage":{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":6}}\n\n'
    )
    assert continued.feed(message_stop) == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert continued.end() == b""


async def test_the_caller_sees_one_message_of_one_model() -> None:
    message = await as_message(whole(FIRST, SECOND))
    assert (message.id, message.model, message.stop_reason) == ("msg_first", "first", "end_turn")
    assert [part.type == "text" and part.text for part in message.content] == ["One, two"]
    assert (message.usage.input_tokens, message.usage.output_tokens) == (20, 6)


async def test_of_three_streams_too() -> None:
    between = [start(), block(0), says(0, "One, ")]
    message = await as_message(whole(FIRST, between, SECOND))
    assert [part.type == "text" and part.text for part in message.content] == ["One, One, two"]
    assert (message.usage.input_tokens, message.usage.output_tokens) == (30, 7)


def test_the_open_block_keeps_its_number_and_later_ones_are_numbered_on() -> None:
    before = [start(), block(0), says(0, "Zero."), stop(0), block(1), says(1, "One, ")]
    after = [start(), block(0), says(0, "two"), stop(0), tool(1, "t", "n"), gives(1, "{}"), stop(1), ends("tool_use")]
    assert said(behind(before, after)) == ["1 + two", "1 stops", "2 tool_use t n", "2 + {}", "2 stops", "tool_use"]


def test_also_where_the_open_block_was_continued_and_broke_again() -> None:
    between = [start(), block(0), says(0, "two"), stop(0), block(1), says(1, "One, ")]
    assert said(behind(FIRST, between, SECOND)) == ["1 + two", "1 stops", "end_turn"]


def test_a_stream_that_begins_with_something_else_than_text_stops_the_open_block() -> None:
    after = [start(), tool(0, "t", "n"), gives(0, "{}"), stop(0), block(1), says(1, " two"), stop(1), ends("tool_use")]
    assert said(behind(FIRST, after)) == [
        "0 stops",
        "1 tool_use t n",
        "1 + {}",
        "1 stops",
        "2 text",
        "2 +  two",
        "2 stops",
        "tool_use",
    ]


def test_a_stream_that_says_nothing_more_stops_it_too() -> None:
    assert said(behind(FIRST, [start(), ends("end_turn"), STOP])) == ["0 stops", "end_turn"]
    assert [name for name, _ in named(behind(FIRST, [start(), STOP]))] == ["content_block_stop", "message_stop"]


def test_text_that_comes_with_the_block_is_not_lost() -> None:
    assert said(behind(FIRST, [start(), block(0, text=" two")])) == ["0 + two"]
    assert said(behind(FIRST, [start(), block(0, text=" ")])) == []


def test_what_is_said_beside_the_text_is_passed_on() -> None:
    cited: Document = {"type": "citations_delta", "citation": {"type": "char_location"}}
    out = behind(FIRST, [start(), block(0), {"type": "content_block_delta", "index": 0, "delta": cited}])
    assert named(out)[0][1] == {"type": "content_block_delta", "index": 0, "delta": cited}


def last_usage(out: bytes) -> Document:
    return next(event["usage"] for name, event in named(out) if name == "message_delta")


def test_usage_is_that_of_all_with_the_cache() -> None:
    before = [start({"input_tokens": 10, "cache_read_input_tokens": 100, "output_tokens": 3}), *FIRST[1:]]
    after = [start({"input_tokens": 12, "cache_creation_input_tokens": 50, "output_tokens": 1}), *SECOND[1:]]
    assert last_usage(behind(before, after)) == {
        "input_tokens": 22,
        "cache_creation_input_tokens": 50,
        "cache_read_input_tokens": 100,
        "output_tokens": 8,
    }


def test_input_that_the_second_tells_at_its_end_counts() -> None:
    late = {"input_tokens": 12, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 2}}
    after = [start({"input_tokens": 0, "output_tokens": 0}), *SECOND[1:4], ends("end_turn", late), STOP]
    usage = last_usage(behind(FIRST, after))
    assert (usage["input_tokens"], usage["output_tokens"]) == (22, 6)
    assert usage["output_tokens_details"] == {"thinking_tokens": 2}


def test_usage_that_nobody_told_is_nothing() -> None:
    assert last_usage(behind([block(0)], [{"type": "message_start", "message": {}}, ends("end_turn", {})])) == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }


@pytest.mark.parametrize(
    "event",
    [says(0, "two"), stop(0), {"type": 7}, {}, {"type": "message_start"}, {"type": "content_block_start", "index": 0}],
)
def test_what_has_no_place_in_a_stream(event: Document) -> None:
    with pytest.raises(BadEvent):
        broken(FIRST).feed(event)


STREAM = [*FIRST, stop(0), tool(1, "t", "n"), gives(1, "{}"), stop(1), ends("tool_use"), STOP]


@given(st.lists(documents, max_size=3) | damaged(STREAM), st.lists(documents, max_size=3) | damaged(STREAM))
def test_anything_goes_on_or_is_refused(before: list[Document], after: list[Document]) -> None:
    with contextlib.suppress(BadEvent):
        named(behind(before, after))
