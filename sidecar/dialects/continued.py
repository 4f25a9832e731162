r"""One streamed answer made of several: a stream broke within a text, and another target's goes on behind it.

The caller sees one answer. What tells who answers (ids, model, role, message_start) stays that
of the first stream and is not told again. In a stream of messages the open block stays open and
the later ones are numbered on from it. Usage is that of all streams together.

Where two streams meet there may be blanks. Anthropic takes no prefill that ends in one, so the
next target is sent the text without its last blanks, and may say them again, or others, or none.
The caller has got them: of the next text's beginning, what equals them is left out.

    the caller has got      "def f():\n"         "Well, "    "One.\n\n"
    the next target says    "\n    return 1"     " then"     "Two."
    the caller gets         "    return 1"       "then"      "Two."
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sidecar.dialects.due import due_number, due_object
from sidecar.dialects.llm_usage import Counts, completion_usage, counts_of_completion, counts_of_message, message_usage
from sidecar.dialects.sse_writing import DONE, data_event, named_event
from sidecar.dialects.translated import BadEvent
from sidecar.llm import Kind

if TYPE_CHECKING:
    from sidecar.llm import Document, Usage

_WHOSE = ("id", "model", "created")
"""What each chunk tells of who answers."""


class Continued:
    """For one call of kind CHAT, COMPLETIONS or MESSAGES: `first` for each event of the stream that broke; then, as
    often as one breaks, `prefix`, and `feed` for each event of the next, in the caller's dialect.

    `feed` raises `BadEvent` for an event that has no place in a stream of its kind.
    """

    def __init__(self, kind: Kind) -> None:
        self._seam = _Seam()
        self._stream: _Stream = _Events(self._seam) if kind is Kind.MESSAGES else _Chunks(kind, self._seam)

    def first(self, document: Document) -> None:
        """Of the first stream, as the caller gets it. Whatever it is, it is remembered or ignored."""
        self._stream.first(document)

    def prefix(self, text: str, used: Usage | None = None) -> str:
        """What the next target is to go on behind: all that the caller has got, without the blanks at its end.

        `text` is all that was read so far, that of each stream behind that of the one before; `used` is what the
        broken one has cost where its provider told it and the caller had not been told yet.
        """
        self._stream.broke(used)
        return self._seam.broke(text)

    def feed(self, document: Document) -> bytes:
        """The bytes that the caller gets of an event."""
        return self._stream.feed(document)

    def end(self) -> bytes:
        """What is due when the stream has ended well."""
        return self._stream.END


class _Stream(Protocol):
    END: bytes

    def first(self, document: Document) -> None: ...

    def broke(self, used: Usage | None) -> None: ...

    def feed(self, document: Document) -> bytes: ...


class _Seam:
    """Where the text of one stream goes on behind that of another."""

    def __init__(self) -> None:
        self._read = 0
        """Characters of all streams that broke."""
        self._said = ""
        """What the caller has got of them."""
        self._blanks = ""
        """At the end of it."""
        self.ahead = ""
        """Those of them that the next text may still repeat."""

    def broke(self, text: str) -> str:
        new = text[self._read :]
        self._read = len(text)
        self._said += new[_same(self._blanks, new) :]
        prefix = self._said.rstrip()
        self._blanks = self.ahead = self._said[len(prefix) :]
        return prefix

    def unrepeated(self, piece: str) -> str:
        """The piece of a text without the blanks that the caller has got already."""
        if not self.ahead:
            return piece
        same = _same(self.ahead, piece)
        self.ahead = self.ahead[same:] if same == len(piece) else ""
        return piece[same:]


def _same(blanks: str, text: str) -> int:
    """With how many of these blanks the text begins."""
    for count, (one, other) in enumerate(zip(blanks, text, strict=False)):
        if one != other:
            return count
    return min(len(blanks), len(text))


class _Chunks:
    """A stream of chat completions, or of legacy ones."""

    END = DONE

    def __init__(self, kind: Kind, seam: _Seam) -> None:
        self._is_chat = kind is Kind.CHAT
        self._seam = seam
        self._whose: Document = {}
        self._before = Counts()
        self._counts: Counts | None = None

    def first(self, document: Document) -> None:
        if not self._whose and document.get("choices"):
            self._whose = {name: document[name] for name in _WHOSE if name in document}
        if document.get("usage") is not None:
            self._counts = counts_of_completion(document) or self._counts

    def broke(self, used: Usage | None) -> None:
        if self._counts is None and used is not None:  # chunks tell it last, other providers first
            self._counts = Counts(fresh=used.input - used.cached, cache_read=used.cached, output=used.output)
        self._before, self._counts = _sum(self._before, self._counts), None

    def feed(self, document: Document) -> bytes:
        told = document.get("usage")
        choices = document.get("choices")
        going_on = [] if choices is None else self._choices(choices)
        if told is not None:
            self._counts = counts_of_completion(document) or self._counts
            told = completion_usage(_sum(self._before, self._counts))
        if not going_on and (choices or told is None):
            return b""
        usage = {"usage": told} if "usage" in document else {}
        return data_event({**document, **self._whose, "choices": going_on, **usage})

    def _choices(self, choices: object) -> list[Document]:
        """Those that still say something."""
        if not isinstance(choices, list):
            raise BadEvent("choices: a list is due")
        going_on = []
        for choice in choices:
            if not isinstance(choice, dict):
                raise BadEvent("choices: an object is due")
            said = self._delta(choice) if self._is_chat else self._text(choice)
            if said or choice.get("finish_reason"):
                going_on.append({**choice, **(said or ({"delta": {}} if self._is_chat else {"text": ""}))})
        return going_on

    def _delta(self, choice: Document) -> Document:
        if choice.get("delta") is None:
            return {}
        delta = {name: value for name, value in due_object(choice, "delta").items() if name != "role" and value}
        if isinstance(delta.get("content"), str):
            delta["content"] = self._seam.unrepeated(delta["content"])
            if not delta["content"]:
                del delta["content"]
        return {"delta": delta} if delta else {}

    def _text(self, choice: Document) -> Document:
        text = choice.get("text")
        said = self._seam.unrepeated(text) if isinstance(text, str) else ""
        return {"text": said} if said else {}


class _Events:
    """A stream of messages."""

    END = b""

    def __init__(self, seam: _Seam) -> None:
        self._seam = seam
        self._last = -1
        """The number of the caller's last block."""
        self._is_open = False
        self._shift: int | None = None
        """From this stream's numbers to the caller's; None until its first block."""
        self._before = Counts()
        self._counts: Counts | None = None

    def first(self, document: Document) -> None:
        kind = document.get("type")
        if kind == "content_block_start":
            index = document.get("index")
            if isinstance(index, int):
                self._last, self._is_open = index, True
        elif kind == "content_block_stop":
            self._is_open = False
        elif kind == "message_start":
            message = document.get("message")
            if isinstance(message, dict):
                self._counts = counts_of_message(message)
        elif kind == "message_delta":
            self._counts = counts_of_message(document, self._counts)

    def broke(self, used: Usage | None) -> None:  # noqa: ARG002  (these events have told it)
        self._before, self._counts = _sum(self._before, self._counts), None
        self._shift = None

    def feed(self, document: Document) -> bytes:
        kind = document.get("type")
        if kind == "content_block_delta":
            return self._delta(self._place(document), due_object(document, "delta"))
        if kind == "content_block_start":
            return self._start(due_number(document, "index"), due_object(document, "content_block"))
        if kind == "content_block_stop":
            self._is_open = False
            return _stop(self._place(document))
        if kind == "message_start":
            self._counts = counts_of_message(due_object(document, "message"))
            return b""
        if kind == "message_delta":
            self._counts = counts_of_message(document, self._counts)
            usage = message_usage(_sum(self._before, self._counts))
            return self._stopped() + named_event({**document, "usage": usage})
        if kind == "message_stop":
            return self._stopped() + named_event(document)
        return named_event(document)

    def _start(self, index: int, block: Document) -> bytes:
        """A stream's first text goes on in the block that is open; nothing else does."""
        is_text = block.get("type") == "text"
        goes_on = self._shift is None and self._is_open and is_text
        out = b"" if goes_on else self._stopped()
        if self._shift is None:
            self._shift = self._last - index + (not goes_on)
        if not is_text:
            self._seam.ahead = ""
        elif isinstance(block.get("text"), str):
            block = {**block, "text": self._seam.unrepeated(block["text"])}
        if goes_on:
            said = {"type": "text_delta", "text": block.get("text")}
            return self._delta(self._last, said, seam=False) if said["text"] else b""
        self._last, self._is_open = index + self._shift, True
        return out + named_event({"type": "content_block_start", "index": self._last, "content_block": block})

    def _delta(self, index: int, delta: Document, *, seam: bool = True) -> bytes:
        if seam and delta.get("type") == "text_delta" and isinstance(delta.get("text"), str):
            text = self._seam.unrepeated(delta["text"])
            if not text:
                return b""
            delta = {**delta, "text": text}
        return named_event({"type": "content_block_delta", "index": index, "delta": delta})

    def _place(self, document: Document) -> int:
        if self._shift is None:
            raise BadEvent("an event of a block that has not begun")
        return due_number(document, "index") + self._shift

    def _stopped(self) -> bytes:
        """The stop of a block that this stream has nothing more for."""
        if not self._is_open:
            return b""
        self._is_open = False
        return _stop(self._last)


def _stop(index: int) -> bytes:
    return named_event({"type": "content_block_stop", "index": index})


def _sum(one: Counts, other: Counts | None) -> Counts:
    if other is None:
        return one
    told = [count for count in (one.reasoning, other.reasoning) if count is not None]
    return Counts(
        fresh=one.fresh + other.fresh,
        cache_read=one.cache_read + other.cache_read,
        cache_written=one.cache_written + other.cache_written,
        output=one.output + other.output,
        reasoning=sum(told) if told else None,
    )
