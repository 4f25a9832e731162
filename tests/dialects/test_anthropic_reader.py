"""What a stream of messages tells, event by event."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sidecar.dialects.anthropic_reader import AnthropicReader
from sidecar.dialects.sse import Event
from sidecar.dialects.stream_reader import Meaning
from sidecar.llm import Usage

QUIET, CONTENT, ERROR, END, UNPARSEABLE, UNKNOWN = Meaning


def event(type_: str, **fields: Any) -> Event:
    return named(type_.encode(), orjson.dumps({"type": type_} | fields))


def named(name: bytes, data: bytes) -> Event:
    return Event(name, data, b"event: " + name + b"\ndata: " + data + b"\n\n")


def start(**usage: Any) -> Event:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude", "usage": usage}
    return event("message_start", message=message)


def block(type_: str, **fields: Any) -> Event:
    return event("content_block_start", index=0, content_block={"type": type_} | fields)


def delta(type_: str, **fields: Any) -> Event:
    return event("content_block_delta", index=0, delta={"type": type_} | fields)


def stop(reason: str | None, **usage: Any) -> Event:
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


START = start(input_tokens=9, output_tokens=1)
TEXT = block("text", text="")
BLOCK_STOP = event("content_block_stop", index=0)
PING = event("ping")
MESSAGE_STOP = event("message_stop")


def test_an_answer_from_its_start_to_its_stop() -> None:
    reader = AnthropicReader(keep_text=True)
    assert reader.read(START) is QUIET
    assert (reader.model, reader.usage, reader.resumable) == ("claude", Usage(9, 1, 0), False)
    assert reader.read(PING) is QUIET
    assert reader.read(TEXT) is CONTENT
    assert (reader.resumable, reader.tokens) == (True, 0)
    assert reader.read(delta("text_delta", text="Hel")) is CONTENT
    assert reader.read(delta("text_delta", text="lo")) is CONTENT
    assert (reader.text, reader.tokens, reader.resumable) == ("Hello", 2, True)
    assert reader.read(BLOCK_STOP) is QUIET
    assert not reader.resumable
    assert reader.read(stop("end_turn", output_tokens=12)) is CONTENT
    assert (reader.usage, reader.finished, reader.done) == (Usage(9, 12, 0), False, False)
    assert reader.read(MESSAGE_STOP) is END
    assert (reader.finished, reader.done, reader.refused, reader.error) == (True, True, False, None)


@pytest.mark.parametrize(
    "other",
    [
        block("thinking", thinking="", signature=""),
        block("redacted_thinking", data="x"),
        block("tool_use", id="toolu_1", name="f", input={}),
        block("server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        block("a_block_of_next_year"),
    ],
)
def test_a_block_of_anything_but_text_is_content_that_nobody_can_go_on_with(other: Event) -> None:
    reader = AnthropicReader(keep_text=True)
    reader.read(other)
    assert reader.read(other) is CONTENT
    reader.read(BLOCK_STOP)
    reader.read(TEXT)
    reader.read(delta("text_delta", text="Hi"))
    assert (reader.resumable, reader.text) == (False, "Hi")


@pytest.mark.parametrize(
    ("piece", "tokens"),
    [
        (delta("thinking_delta", thinking="Hm"), 1),
        (delta("input_json_delta", partial_json='{"a"'), 1),
        (delta("input_json_delta", partial_json=""), 0),
        (delta("signature_delta", signature="x"), 0),
        (delta("citations_delta", citation={}), 0),
        (delta("text_delta", text=""), 0),
    ],
)
def test_each_delta_is_content_and_those_that_hold_some_are_counted(piece: Event, tokens: int) -> None:
    reader = AnthropicReader()
    assert reader.read(piece) is CONTENT
    assert reader.tokens == tokens


def test_text_goes_on_in_a_second_block() -> None:
    reader = AnthropicReader(keep_text=True)
    for each in (TEXT, delta("text_delta", text="a"), BLOCK_STOP, block("text", text="b")):
        reader.read(each)
    assert (reader.text, reader.resumable) == ("ab", True)


def test_no_text_is_kept_that_nobody_asked_for() -> None:
    reader = AnthropicReader()
    reader.read(TEXT)
    reader.read(delta("text_delta", text="a"))
    assert reader.text == ""


def test_what_comes_behind_the_stop_reason_is_not_gone_on_with() -> None:
    reader = AnthropicReader()
    for each in (TEXT, stop("end_turn"), TEXT):
        reader.read(each)
    assert not reader.resumable


def test_the_prompt_is_what_was_read_from_the_cache_written_to_it_and_the_rest() -> None:
    reader = AnthropicReader()
    reader.read(start(input_tokens=5, cache_creation_input_tokens=20, cache_read_input_tokens=300, output_tokens=1))
    assert reader.usage == Usage(325, 1, 300)
    reader.read(stop("end_turn", output_tokens=40))
    assert reader.usage == Usage(325, 40, 300)


def test_counts_are_cumulative_and_may_come_late() -> None:
    reader = AnthropicReader()
    reader.read(start(input_tokens=0, output_tokens=0))
    assert reader.read(stop(None, output_tokens=10)) is QUIET
    reader.read(stop("end_turn", input_tokens=7, cache_read_input_tokens=100, output_tokens=30))
    assert reader.usage == Usage(107, 30, 100)


def test_no_usage_is_none() -> None:
    reader = AnthropicReader()
    reader.read(event("message_start", message={"model": "claude"}))
    reader.read(event("message_delta", delta={"stop_reason": "end_turn"}, usage=None))
    assert reader.usage is None


def test_a_refusal_is_seen() -> None:
    reader = AnthropicReader()
    assert reader.read(stop("refusal", output_tokens=1)) is CONTENT
    assert reader.refused


@pytest.mark.parametrize(
    ("failing", "status", "message"),
    [
        (event("error", error={"type": "overloaded_error", "message": "Overloaded"}), 529, "Overloaded"),
        (event("error", error={"type": "rate_limit_error", "message": "slow"}), 429, "slow"),
        (event("error", error={"type": "an_error_of_next_year", "message": "?"}), 500, "?"),
        (named(b"error", b'{"message":"bare"}'), 500, "bare"),
        (named(b"error", b"no JSON"), 500, "no JSON"),
        (named(b"", b'{"error":{"message":"foreign","type":"server_error"}}'), 500, "foreign"),
    ],
)
def test_an_error_is_seen_in_any_shape(failing: Event, status: int, message: str) -> None:
    reader = AnthropicReader()
    reader.read(TEXT)
    assert reader.read(failing) is ERROR
    assert reader.error is not None
    assert (reader.error.status, reader.error.message) == (status, message)
    assert not reader.finished
    assert reader.resumable


def test_an_error_without_data_still_is_one() -> None:
    assert AnthropicReader().read(named(b"error", b"")) is ERROR


@pytest.mark.parametrize("ping", [named(b"ping", b""), named(b"ping", b"ping"), named(b"", b""), named(b"", b" ")])
def test_a_ping_needs_no_json(ping: Event) -> None:
    assert AnthropicReader().read(ping) is QUIET


def test_the_end_of_the_other_dialect_is_none() -> None:
    reader = AnthropicReader()
    assert reader.read(named(b"", b"[DONE]")) is UNKNOWN
    assert (reader.done, reader.finished) == (False, False)


@pytest.mark.parametrize("data", [b"{", b"\xff", b"null", b"[1]", b'"x"'])
def test_what_is_no_object_cannot_be_read(data: bytes) -> None:
    reader = AnthropicReader()
    reader.read(START)
    assert reader.read(named(b"content_block_delta", data)) is UNPARSEABLE
    assert reader.document is None


@pytest.mark.parametrize(
    "strange",
    [
        event("an_event_of_next_year"),
        event("content_block_delta"),
        delta("a_delta_of_next_year"),
        event("content_block_delta", delta={"type": []}),
        event("content_block_start", content_block=7),
        named(b"content_block_delta", b"{}"),
    ],
)
def test_a_type_that_nobody_knows_is_unknown(strange: Event) -> None:
    assert AnthropicReader().read(strange) is UNKNOWN
