"""The text that is kept while an answer comes, so that another target may go on behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from sidecar.dialects import text_reader
from sidecar.dialects.anthropic_reader import AnthropicReader
from sidecar.dialects.openai_reader import OpenAIReader
from sidecar.dialects.sse import Event
from tests.kit.llm_events import block, chunk, says

if TYPE_CHECKING:
    from sidecar.dialects.text_reader import TextReader


def hear(reader: TextReader, *pieces: str) -> TextReader:
    """The reader, once it has read so many deltas of text."""
    assert isinstance(reader, OpenAIReader | AnthropicReader)
    documents = [chunk({"content": piece}) for piece in pieces]
    if isinstance(reader, AnthropicReader):
        documents = [block(0), *(says(0, piece) for piece in pieces)]
    for document in documents:
        reader.read(Event(b"", orjson.dumps(document), b""))
    return reader


readers = pytest.mark.parametrize("reader", [OpenAIReader, AnthropicReader])


@readers
def test_every_character_is_kept_as_it_came(reader: type[TextReader]) -> None:
    pieces = ["Hé", "\r\n", "\r", "\n", "\u2028", "𝄞", "\0"]
    assert hear(reader(keep_text=True), *pieces).text == "".join(pieces)


@readers
def test_nothing_is_kept_where_nobody_would_go_on(reader: type[TextReader]) -> None:
    heard = hear(reader(), "Hello")
    assert (heard.text, heard.resumable) == ("", True)


@readers
def test_behind_a_text_without_end_nobody_goes_on(reader: type[TextReader], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_reader, "LONGEST_TEXT", 10)
    heard = hear(reader(keep_text=True), "0123", "456789")
    assert (heard.text, heard.resumable) == ("0123456789", True)
    hear(heard, "!")
    assert (heard.text, heard.resumable) == ("", False)
    hear(heard, "?")
    assert (heard.text, heard.resumable) == ("", False)
