"""The answer to a question, read as it comes, whole or as a stream, in either dialect."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import orjson

from sidecar.cli.llm.said import reason_of, text_of_answer, text_of_event
from sidecar.cli.web import fields_of
from sidecar.dialects.anthropic_reader import AnthropicReader
from sidecar.dialects.llm_error_reading import LlmError, error_of, read_error
from sidecar.dialects.llm_usage import usage_of_completion, usage_of_message
from sidecar.dialects.openai_reader import OpenAIReader
from sidecar.dialects.sse import Splitter
from sidecar.dialects.stream_reader import Meaning
from sidecar.llm import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from sidecar.cli.llm.conversation import Speech
    from sidecar.cli.web import Web
    from sidecar.dialects.sse import Event
    from sidecar.llm import Document, Usage

_PIECE = 1 << 16
_LONGEST = 64 << 20
_TOLD = b": X-Sidecar-"
"""How a stream whose head had to leave early tells at its end what that head could not."""


@dataclass(slots=True)
class Answer:
    """What is known of an answer: all of it once `ask` is through. Times are seconds since the question left.

    `fields` are those of the head, lower case; `document` is a whole answer's, `events` are a stream's. `error`: why it
    is none, or not all of one; its status is 0 where none came with it. `first_byte` and `total` are 0 until then.
    """

    speech: Speech
    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    text: str = ""
    model: str = ""
    reason: str = ""
    """Why it ended, in the dialect's word."""
    usage: Usage | None = None
    document: Document | None = None
    events: list[Document] | None = None
    error: LlmError | None = None
    first_byte: float = 0.0
    total: float = 0.0

    @property
    def dialect(self) -> Dialect:
        return self.speech.dialect

    @property
    def ours(self) -> bool:
        """The sidecar itself refused; it was no provider (RFC 9209)."""
        return self.fields.get("proxy-status", "").startswith("sidecar")


def ask(
    web: Web, answer: Answer, body: bytes, clock: Callable[[], float] = time.perf_counter
) -> Generator[str, None, None]:
    """Send the question, and give the answer's text in pieces as they come. The first piece is empty: the head is here.

    Closing the generator cancels the call. Raises `Trouble` where nobody answers; all that is wrong with an answer is
    told by its `error`.
    """
    began = clock()
    try:
        with web.open("POST", answer.speech.path, body, answer.speech.fields) as reply:
            answer.first_byte = clock() - began
            answer.status, answer.fields = reply.status, fields_of(reply)
            yield ""
            pieces: list[str] = []
            for piece in _read(reply, answer):
                pieces.append(piece)
                yield piece
            answer.text = "".join(pieces)
    finally:
        answer.total = clock() - began


def _read(reply: http.client.HTTPResponse, answer: Answer) -> Iterator[str]:
    encoding = answer.fields.get("content-encoding", "identity")
    if encoding != "identity":  # a server that asks nobody: we accept nothing of the kind
        answer.error = _unreadable(f"the answer is compressed ({encoding}), which it was not asked to be")
    elif reply.status != 200:
        answer.error = read_error(reply.status, _whole(reply))
    elif "event-stream" in answer.fields.get("content-type", ""):
        yield from _Stream(reply, answer).pieces()
    else:
        yield from _answered(_whole(reply), answer)


def _whole(reply: http.client.HTTPResponse) -> bytes:
    """All of the body; what came of it, if it breaks."""
    pieces: list[bytes] = []
    left = _LONGEST
    try:
        while left > 0 and (piece := reply.read1(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
    except (OSError, http.client.HTTPException):
        pass
    return b"".join(pieces)


def _answered(body: bytes, answer: Answer) -> Iterator[str]:
    """A whole answer."""
    dialect = answer.dialect
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        answer.error = _unreadable("the answer is no JSON, or it broke off")
        return
    answer.document = document
    text = text_of_answer(document, dialect)
    if text is None:
        answer.error = error_of(document) if document.get("error") else _unreadable("this is no answer to a question")
        return
    answer.reason = reason_of(document, dialect)
    answer.usage = usage_of_completion(document) if dialect is Dialect.OPENAI else usage_of_message(document)
    model = document.get("model")
    answer.model = model if isinstance(model, str) else ""
    if text:
        yield text


class _Stream:
    """One streamed answer."""

    def __init__(self, reply: http.client.HTTPResponse, answer: Answer) -> None:
        self._reply = reply
        self._answer = answer
        self._reader = OpenAIReader() if answer.dialect is Dialect.OPENAI else AnthropicReader()
        self._events: list[Document] = []
        answer.events = self._events
        self._unreadable = 0

    def pieces(self) -> Iterator[str]:
        """To its very end, also behind an error: what the head could not tell stands there."""
        answer, reader, splitter = self._answer, self._reader, Splitter()
        why = "the stream broke off"
        try:
            while chunk := self._reply.read1(_PIECE):
                for event in splitter.feed(chunk):
                    piece = self._hear(event)
                    if piece and reader.error is None:
                        yield piece
        except TimeoutError:
            why = "the stream broke off: it was silent for too long"
        except (OSError, http.client.HTTPException):
            pass  # a broken one: whether its answer is whole is seen below
        answer.model, answer.usage = reader.model, reader.usage
        if reader.error is not None:
            answer.error = replace(reader.error, status=0)  # a stream has none but its 200
        elif not reader.finished:
            answer.error = _unreadable(why)
        elif self._unreadable:
            answer.error = _unreadable("a piece of the stream could not be read: the text lacks it")

    def _hear(self, event: Event) -> str:
        reader, answer = self._reader, self._answer
        meaning = reader.read(event)
        if meaning is Meaning.UNPARSEABLE:
            self._unreadable += 1
        document = reader.document if event.data else None
        if document is None:
            _note(event.raw, answer.fields)
            return ""
        self._events.append(document)
        answer.reason = reason_of(document, answer.dialect) or answer.reason
        return text_of_event(document, answer.dialect)


def _note(comments: bytes, fields: dict[str, str]) -> None:
    """Take over what a last comment tells."""
    for line in comments.splitlines():
        if line.startswith(_TOLD):
            name, _, value = line.removeprefix(b": ").decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()


def _unreadable(message: str) -> LlmError:
    """An error that nobody told."""
    return LlmError(0, "", "", message)
