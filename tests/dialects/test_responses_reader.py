from __future__ import annotations

from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent

from sidecar.dialects.llm_errors import error_event
from sidecar.dialects.responses_reader import ResponsesReader
from sidecar.dialects.sse import Event, Splitter
from sidecar.dialects.stream_reader import Meaning, StreamReader
from sidecar.llm import Kind, Usage
from tests.kit.messages import anything, bent

Json = dict[str, Any]

USAGE: Json = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 35,
}


def sse(document: Any) -> Event:
    return Event(b"", orjson.dumps(document), b"")


def response(status: str, **more: Any) -> Json:
    """The event of a response that has come to this."""
    told = {"id": "resp_1", "model": "gpt-x", "status": status, "output": [], "error": None, **more}
    return {"type": f"response.{status}", "response": told}


def read(*documents: Json) -> tuple[ResponsesReader, list[Meaning]]:
    reader = ResponsesReader()
    return reader, [reader.read(sse(document)) for document in documents]


def test_a_text() -> None:
    reader, meanings = read(
        {"type": "response.created", "response": {"model": "gpt-x", "usage": None}},
        response("in_progress"),
        {"type": "response.output_item.added", "item": {"type": "message"}},
        {"type": "response.content_part.added"},
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.output_text.delta", "delta": "lo"},
        {"type": "response.output_text.done", "text": "Hello"},
        {"type": "response.content_part.done"},
        {"type": "response.output_item.done"},
        response("completed", usage=USAGE),
    )
    quiet, content = Meaning.QUIET, Meaning.CONTENT
    assert meanings == [quiet, quiet, content, content, content, content, quiet, quiet, quiet, Meaning.END]
    assert (reader.model, reader.tokens, reader.usage) == ("gpt-x", 2, Usage(30, 5, 20))
    assert (reader.finished, reader.done, reader.error, reader.refused) == (True, True, None, False)


def test_it_is_a_stream_reader_that_nobody_can_go_on_behind() -> None:
    reader: StreamReader = ResponsesReader()
    reader.read(sse({"type": "response.output_text.delta", "delta": "Hello"}))
    assert (reader.resumable, reader.text, reader.finished, reader.done) == (False, "", False, False)


@pytest.mark.parametrize("item", ["message", "function_call", "reasoning", "web_search_call"])
def test_the_start_of_any_item_is_content(item: str) -> None:
    assert read({"type": "response.output_item.added", "item": {"type": item}})[1] == [Meaning.CONTENT]


def test_an_answer_that_was_cut_short_is_whole() -> None:
    reader, meanings = read(response("incomplete", usage=USAGE, incomplete_details={"reason": "max_output_tokens"}))
    assert meanings == [Meaning.END]
    assert (reader.finished, reader.done, reader.refused) == (True, True, False)


def test_a_filtered_answer_is_refused() -> None:
    reader, _ = read(response("incomplete", incomplete_details={"reason": "content_filter"}))
    assert reader.refused


def test_a_refusal_is_content() -> None:
    reader, meanings = read({"type": "response.refusal.delta", "delta": "I must not."})
    assert (meanings, reader.refused) == ([Meaning.CONTENT], True)


def test_a_failed_answer_is_an_error_and_not_whole() -> None:
    error = {"code": "rate_limit_exceeded", "message": "Slow down."}
    reader, meanings = read(response("failed", error=error, usage=USAGE))
    assert meanings == [Meaning.ERROR]
    assert reader.error is not None
    assert (reader.error.status, reader.error.message) == (429, "Slow down.")
    assert (reader.finished, reader.done, reader.usage) == (False, True, Usage(30, 5, 20))


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "Oh.", "param": None, "sequence_number": 3},
        {"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "Oh."}},
        {"error": {"type": "server_error", "code": None, "message": "Oh."}},
    ],
)
def test_an_error_of_any_shape(event: Json) -> None:
    reader, meanings = read(event)
    assert meanings == [Meaning.ERROR]
    assert reader.error is not None
    assert (reader.error.status, reader.error.message, reader.finished) == (500, "Oh.", False)


def test_it_reads_the_errors_that_we_write() -> None:
    said, _ = read({"type": "error", "code": "server_error", "message": "Oh."})
    assert said.error is not None
    reader = ResponsesReader()
    [event] = Splitter().feed(error_event(Kind.RESPONSES, said.error))
    assert reader.read(event) is Meaning.ERROR
    assert reader.error is not None
    assert reader.error.message == "Oh."


@pytest.mark.parametrize("data", [b"", b" ", b"\n"])
def test_what_has_no_data_is_quiet(data: bytes) -> None:
    reader = ResponsesReader()
    assert reader.read(Event(b"", data, b": \n\n")) is Meaning.QUIET
    assert reader.document is None


@pytest.mark.parametrize("data", [b"{", b"[]", b"null", b'"text"', b"\xff"])
def test_what_is_no_object_cannot_be_parsed(data: bytes) -> None:
    reader, _ = read(response("in_progress"))
    assert reader.read(Event(b"", data, b"")) is Meaning.UNPARSEABLE
    assert reader.document is None


@pytest.mark.parametrize("kind", ["response.new", "ping", "", None, 1, ["response.completed"], {}])
def test_an_unknown_type(kind: Any) -> None:
    document = {"type": kind}
    reader, meanings = read(document)
    assert (meanings, reader.document) == ([Meaning.UNKNOWN], document)


def test_nothing_comes_behind_a_done_but_it_makes_no_answer_whole() -> None:
    reader = ResponsesReader()
    assert reader.read(Event(b"", b"[DONE]", b"")) is Meaning.END
    assert (reader.finished, reader.done) == (False, True)


def test_every_type_of_openais_is_known() -> None:
    union, *_ = get_args(ResponseStreamEvent)
    kinds = [get_args(event.model_fields["type"].annotation)[0] for event in get_args(union)]
    assert len(kinds) > 50
    unknown = [kind for kind in kinds if read({"type": kind})[1] == [Meaning.UNKNOWN]]
    assert unknown == []


@given(st.lists(bent(response("completed", usage=USAGE), response("failed", error={"code": "c", "message": "m"}))))
def test_any_event_means_something(documents: list[Json]) -> None:
    read(*documents)


@given(anything | st.dictionaries(st.sampled_from(["type", "error", "response", "delta"]), anything))
def test_any_json_means_something(document: Any) -> None:
    assert isinstance(ResponsesReader().read(sse(document)), Meaning)


@given(st.binary())
def test_any_bytes_mean_something(data: bytes) -> None:
    assert isinstance(ResponsesReader().read(Event(b"", data, data)), Meaning)
