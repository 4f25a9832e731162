"""What a stream of chat or legacy completions tells, chunk by chunk."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sidecar.dialects.openai_reader import MOST_CHOICES, OpenAIReader
from sidecar.dialects.sse import Event
from sidecar.dialects.stream_reader import Meaning
from sidecar.llm import Usage

QUIET, CONTENT, ERROR, END, UNPARSEABLE, UNKNOWN = Meaning


def event(data: bytes, name: bytes = b"") -> Event:
    return Event(name, data, b"data: " + data + b"\n\n")


def chunk(*choices: Any, **fields: Any) -> Event:
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return event(orjson.dumps(whole | {"choices": choices} | fields))


def delta(index: int = 0, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"index": index, "delta": fields, "logprobs": None, "finish_reason": reason}


def text(content: str) -> Event:
    return chunk(delta(content=content))


ROLE = chunk(delta(role="assistant", content="", refusal=None))
STOP = chunk(delta(reason="stop"))
DONE = event(b"[DONE]")
USED = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 4}}


def test_an_answer_from_its_role_to_its_end() -> None:
    reader = OpenAIReader(keep_text=True)
    assert reader.read(ROLE) is QUIET
    assert (reader.model, reader.tokens, reader.resumable) == ("gpt-4o", 0, False)
    assert reader.read(text("Hel")) is CONTENT
    assert reader.read(text("lo")) is CONTENT
    assert (reader.text, reader.tokens, reader.resumable, reader.finished) == ("Hello", 2, True, False)
    assert reader.read(STOP) is CONTENT
    assert (reader.finished, reader.done, reader.resumable) == (True, False, False)
    assert reader.read(chunk(usage=USED)) is QUIET
    assert reader.usage == Usage(9, 3, 4)
    assert reader.read(DONE) is END
    assert reader.done
    assert reader.finished
    assert (reader.refused, reader.error, reader.document) == (False, None, None)


def test_choices_without_end_are_not_all_remembered() -> None:
    reader = OpenAIReader()
    for number in range(MOST_CHOICES + 10):
        reader.read(chunk(delta(number, content="x")))
    assert reader.choices == MOST_CHOICES


def test_a_legacy_completion() -> None:
    reader = OpenAIReader(keep_text=True)
    assert reader.read(chunk({"index": 0, "text": "", "finish_reason": None})) is QUIET
    assert reader.read(chunk({"index": 0, "text": "Hi", "finish_reason": None})) is CONTENT
    assert (reader.text, reader.tokens, reader.resumable) == ("Hi", 1, True)
    assert reader.read(chunk({"index": 0, "text": "", "finish_reason": "length"})) is CONTENT
    assert (reader.finished, reader.tokens) == (True, 1)


@pytest.mark.parametrize(
    "quiet",
    [
        chunk(delta()),
        chunk(delta(content=None)),
        chunk(delta(role="assistant")),
        chunk(delta(role="assistant", content="", tool_calls=[], reasoning_content=None, refusal=None)),
        chunk({"index": 0, "delta": {}, "finish_reason": ""}),
        chunk({"index": 0}),
        chunk(),
        chunk(prompt_filter_results=[{}]),  # Azure's first
        chunk(usage=USED),
        event(orjson.dumps({"usage": USED})),
        event(orjson.dumps({"choices": None, "usage": USED})),
        event(b""),
        event(b" "),
    ],
)
def test_what_tells_nothing_of_the_answer_is_quiet(quiet: Event) -> None:
    reader = OpenAIReader()
    assert reader.read(quiet) is QUIET
    assert (reader.tokens, reader.finished, reader.done, reader.resumable) == (0, False, False, False)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}], "content": None},
        {"function_call": {"name": "f", "arguments": ""}},
        {"reasoning_content": "Hm"},
        {"reasoning": "Hm"},
        {"refusal": "I cannot"},
        {"audio": {"id": "audio_1", "transcript": "Hi"}},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
    ],
)
def test_what_is_no_text_is_content_that_nobody_can_go_on_with(fields: dict[str, Any]) -> None:
    reader = OpenAIReader(keep_text=True)
    reader.read(text("Hello"))
    assert reader.resumable
    assert reader.read(chunk(delta(**fields))) is CONTENT
    assert (reader.resumable, reader.tokens) == (False, 2)
    reader.read(text("!"))
    assert (reader.resumable, reader.text) == (False, "Hello!")


def test_thinking_before_the_text_cannot_be_gone_on_with() -> None:
    reader = OpenAIReader()
    reader.read(chunk(delta(reasoning_content="Hm", content=None)))
    reader.read(text("Hello"))
    assert not reader.resumable


def test_an_answer_is_whole_when_all_its_choices_are() -> None:
    reader = OpenAIReader(keep_text=True)
    reader.read(chunk(delta(0, content="a"), delta(1, content="b")))
    assert (reader.tokens, reader.resumable, reader.text) == (2, False, "a")
    finished = []
    # What comes behind an end begins nothing: Azure's filter results do.
    for each in (chunk(delta(1, "stop")), chunk(delta(0, "stop")), chunk(delta(0))):
        reader.read(each)
        finished.append(reader.finished)
    assert finished == [False, True, True]


def test_a_choice_that_begins_late_has_to_end_too() -> None:
    reader = OpenAIReader()
    reader.read(STOP)
    reader.read(chunk(delta(1, content="b")))
    assert not reader.finished


@pytest.mark.parametrize(
    "refusing",
    [chunk(delta(reason="content_filter")), chunk(delta(refusal="I")), chunk(delta(content="", refusal="I"))],
)
def test_a_refusal_is_seen(refusing: Event) -> None:
    reader = OpenAIReader()
    assert reader.read(refusing) is CONTENT
    assert reader.refused


def test_usage_on_every_chunk_is_the_last_one() -> None:
    reader = OpenAIReader()
    for output in (1, 2):
        told = {"prompt_tokens": 9, "completion_tokens": output, "total_tokens": 9 + output}
        assert reader.read(chunk(delta(content="a"), usage=told)) is CONTENT
    reader.read(chunk(delta(reason="stop"), usage=None))
    reader.read(chunk(usage={}))
    assert reader.usage == Usage(9, 2, 0)


def test_usage_that_never_comes_is_none() -> None:
    reader = OpenAIReader()
    for each in (ROLE, text("a"), STOP, DONE):
        reader.read(each)
    assert reader.usage is None


@pytest.mark.parametrize(
    ("failing", "status", "message"),
    [
        (event(b'{"error":{"message":"busy","type":"server_error","code":null}}'), 500, "busy"),
        (event(b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}'), 429, "slow"),
        (event(b'{"error":"out of memory"}'), 500, "out of memory"),
        # An end that is none (OpenRouter).
        (chunk(delta(reason="error", content=""), error={"code": 502, "message": "lost"}), 502, "lost"),
        # Bare (vLLM).
        (event(b'{"object":"error","message":"bad","type":"BadRequestError","code":400}'), 400, "bad"),
        (event(b'{"message":"bad","type":"invalid_request_error"}'), 400, "bad"),
        (event(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'), 529, "busy"),
        # By its name.
        (event(b'{"message":"bad"}', b"error"), 500, "bad"),
        (event(b"it broke", b"error"), 500, "it broke"),
    ],
)
def test_an_error_is_seen_in_any_shape(failing: Event, status: int, message: str) -> None:
    reader = OpenAIReader()
    reader.read(text("Hel"))
    assert reader.read(failing) is ERROR
    assert reader.error is not None
    assert (reader.error.status, reader.error.message) == (status, message)
    assert not reader.finished
    assert reader.resumable


@pytest.mark.parametrize("nothing", [None, "", {}])
def test_an_empty_error_is_none(nothing: Any) -> None:
    reader = OpenAIReader()
    assert reader.read(chunk(delta(content="a"), error=nothing)) is CONTENT
    assert reader.error is None


def test_a_nameless_error_still_is_one() -> None:
    reader = OpenAIReader()
    assert reader.read(event(b"", b"error")) is ERROR
    assert reader.error is not None


@pytest.mark.parametrize("data", [b"{", b"nonsense", b'{"choices":[', b"\xff", b"null", b"[]", b"7", b'"text"'])
def test_what_is_no_object_cannot_be_read(data: bytes) -> None:
    reader = OpenAIReader()
    reader.read(ROLE)
    assert reader.document is not None
    assert reader.read(event(data)) is UNPARSEABLE
    assert reader.document is None


@pytest.mark.parametrize("data", [b"{}", b'{"type":"ping"}', b'{"detail":"x"}', b'{"choices":{}}', b'{"message":"x"}'])
def test_an_object_of_another_kind_is_unknown(data: bytes) -> None:
    assert OpenAIReader().read(event(data)) is UNKNOWN


def test_a_model_that_is_named_late_is_read() -> None:
    reader = OpenAIReader()
    reader.read(chunk(model=""))
    reader.read(chunk(model=None))
    reader.read(text("a"))
    assert reader.model == "gpt-4o"
