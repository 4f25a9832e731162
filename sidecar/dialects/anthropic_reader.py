"""Reads a stream of Anthropic's messages.

Event types and fields: `anthropic.types.RawMessageStreamEvent`. An event's type is read off
its data; its name counts for errors, and where there is no JSON: Anthropic's SDK looks at
the names of `ping` and `error` only, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from sidecar.dialects.llm_errors import error_of, read_error
from sidecar.dialects.llm_usage import counts_of_message
from sidecar.dialects.stream_reader import CONTENT, QUIET, Meaning
from sidecar.dialects.text_reader import TextReader

if TYPE_CHECKING:
    from sidecar.dialects.llm_usage import Counts
    from sidecar.dialects.sse import Event
    from sidecar.llm import Document

_GENERATED = {"thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""Besides text, the deltas that the model's tokens become, and where they hold them."""
_ATTACHED = frozenset({"signature_delta", "citations_delta"})


class AnthropicReader(TextReader):
    """A `StreamReader`. `text` is that of all text blocks, one behind the other."""

    choices = 1
    _counts: Counts | None = None

    def read(self, event: Event) -> Meaning:
        try:
            document = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            return self._no_object(event)
        if type(document) is not dict:
            return self._no_object(event)
        self.document = document
        kind = document.get("type")
        if event.name == b"error" or kind == "error":
            self.error = error_of(document)
            return Meaning.ERROR
        if kind == "content_block_delta":
            return self._delta(document.get("delta"))
        if kind == "content_block_start":
            return self._block(document.get("content_block"))
        if kind == "content_block_stop":
            self.resumable = False
            return QUIET
        if kind == "ping":
            return QUIET
        if kind == "message_start":
            self._start(document.get("message"))
            return QUIET
        if kind == "message_delta":
            self._tell(document)
            return self._stop_reason(document.get("delta"))
        if kind == "message_stop":
            self._cannot_go_on()
            self.finished = self.done = True
            return Meaning.END
        if document.get("error"):  # OpenAI's shape, from servers that speak both dialects
            self.error = error_of(document)
            return Meaning.ERROR
        return Meaning.UNKNOWN

    def _delta(self, delta: Any) -> Meaning:
        if type(delta) is not dict:
            return Meaning.UNKNOWN
        kind = delta.get("type")
        if kind == "text_delta":
            self._hear(delta.get("text"))
            return CONTENT
        if type(kind) is not str:
            return Meaning.UNKNOWN
        field = _GENERATED.get(kind)
        if field is not None:
            self._cannot_go_on()
            if delta.get(field):
                self.tokens += 1
            return CONTENT
        return CONTENT if kind in _ATTACHED else Meaning.UNKNOWN

    def _block(self, block: Any) -> Meaning:
        """A block has begun, of whatever type: the model answers."""
        if type(block) is not dict:
            return Meaning.UNKNOWN
        if block.get("type") == "text":
            self.resumable = self._text_alone
            self._hear(block.get("text"))
        else:
            self._cannot_go_on()
        return CONTENT

    def _hear(self, text: Any) -> None:
        if text and type(text) is str:
            self.tokens += 1
            self._keep(text)

    def _start(self, message: Any) -> None:
        if type(message) is dict:
            model = message.get("model")
            self.model = model if isinstance(model, str) else ""
            self._tell(message)

    def _tell(self, holder: Document) -> None:
        """Usage comes twice: at the start, and cumulative at the end, where not all of it may be told again."""
        self._counts = counts_of_message(holder, self._counts)
        self.usage = None if self._counts is None else self._counts.usage

    def _stop_reason(self, delta: Any) -> Meaning:
        reason = delta.get("stop_reason") if type(delta) is dict else None
        if not reason:
            return QUIET
        self._cannot_go_on()
        if reason == "refusal":
            self.refused = True
        return CONTENT

    def _no_object(self, event: Event) -> Meaning:
        self.document = None
        data = event.data.strip()
        if event.name == b"error":
            self.error = read_error(500, data)
            return Meaning.ERROR
        if not data or event.name == b"ping":
            return QUIET
        # OpenAI's end is none here: servers that imitate both send it, also behind an answer that broke.
        return Meaning.UNKNOWN if data == b"[DONE]" else Meaning.UNPARSEABLE
