"""What holds of every reader of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.anthropic_reader import AnthropicReader
from sidecar.dialects.llm_errors import LlmError
from sidecar.dialects.openai_reader import OpenAIReader
from sidecar.dialects.sse import Event
from sidecar.dialects.stream_reader import Meaning
from sidecar.llm import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.dialects.stream_reader import StreamReader

READERS: list[Callable[[], StreamReader]] = [
    lambda: OpenAIReader(keep_text=True),
    lambda: AnthropicReader(keep_text=True),
]
readers = pytest.mark.parametrize("reader", READERS, ids=["openai", "anthropic"])

NAMES = st.sampled_from([
    "choices", "delta", "index", "finish_reason", "content", "text", "tool_calls", "refusal", "reasoning", "audio",
    "type", "message", "usage", "model", "error", "content_block", "stop_reason", "input_tokens", "partial_json",
    "prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens", "code", "object", "thinking",
])  # fmt: skip
WORDS = st.sampled_from([
    "content_block_delta", "content_block_start", "message_start", "message_delta", "message_stop", "ping", "error",
    "text_delta", "thinking_delta", "input_json_delta", "text", "tool_use", "stop", "refusal", "content_filter", "",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-1, 2**63) | st.floats(allow_nan=False) | WORDS | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=6)
DATA = st.one_of(DOCUMENTS.map(orjson.dumps), VALUES.map(orjson.dumps), st.binary(max_size=20), st.just(b"[DONE]"))
EVENTS = st.builds(Event, st.sampled_from([b"", b"error", b"ping", b"\xff"]), DATA, st.just(b""))


@readers
@given(events=st.lists(EVENTS, max_size=6))
def test_no_event_breaks_a_reader(reader: Callable[[], StreamReader], events: list[Event]) -> None:
    reading = reader()
    for event in events:
        before = reading.tokens
        meaning = reading.read(event)
        assert isinstance(meaning, Meaning)
        assert reading.document is None or reading.document == orjson.loads(event.data)
        assert (meaning is Meaning.ERROR) <= isinstance(reading.error, LlmError)
        assert (meaning is Meaning.END) <= reading.done
        assert reading.tokens == before or meaning is Meaning.CONTENT
        assert reading.usage is None or isinstance(reading.usage, Usage)
        assert isinstance(reading.text, str)
        assert isinstance(reading.model, str)
        assert {type(reading.finished), type(reading.refused), type(reading.resumable)} == {bool}


@readers
@pytest.mark.parametrize("data", [b"", b" "])
def test_an_event_without_data_tells_nothing(reader: Callable[[], StreamReader], data: bytes) -> None:
    reading = reader()
    assert reading.read(Event(b"", data, b":\n\n")) is Meaning.QUIET
    assert reading.document is None


@readers
def test_a_stream_that_ends_is_not_finished_by_that(reader: Callable[[], StreamReader]) -> None:
    reading = reader()
    any_document: dict[str, Any] = {"usage": {"output_tokens": 1}}
    reading.read(Event(b"", orjson.dumps(any_document), b""))
    assert not reading.finished
    assert not reading.done
