"""Reads a stream of OpenAI's `/v1/responses`.

Event types and fields: `openai.types.responses.ResponseStreamEvent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from sidecar.dialects.llm_errors import error_of
from sidecar.dialects.llm_usage import usage_of_response
from sidecar.dialects.stream_reader import Meaning

if TYPE_CHECKING:
    from sidecar.dialects.llm_errors import LlmError
    from sidecar.dialects.sse import Event
    from sidecar.llm import Document, Usage

_ENDS = {"response.completed": True, "response.incomplete": True, "response.failed": False}
"""The events that nothing comes after, and whether the answer is whole with them."""

_STARTS = frozenset({
    "response.content_part.added",
    "response.image_generation_call.partial_image",
    "response.output_item.added",
    "response.output_text.annotation.added",
    "response.reasoning_summary_part.added",
    "response.shell_call_command.added",
})  # fmt: skip

_STEPS = (
    ".queued",
    ".created",
    ".in_progress",
    ".compacting",
    ".searching",
    ".interpreting",
    ".generating",
    ".completed",
    ".failed",
    ".done",
)
"""How the types end that tell how something goes: the answer, or the call of a tool that the provider runs."""


class ResponsesReader:
    """A `StreamReader`. An answer of these cannot be gone on with: it is made of items, not of one text."""

    choices = 1

    __slots__ = ("document", "done", "error", "finished", "model", "refused", "resumable", "text", "tokens", "usage")

    def __init__(self) -> None:
        self.document: Document | None = None
        self.usage: Usage | None = None
        self.model = ""
        self.finished = False
        self.done = False
        self.error: LlmError | None = None
        self.refused = False
        self.tokens = 0
        self.resumable = False
        self.text = ""

    def read(self, event: Event) -> Meaning:
        self.document = None
        data = event.data
        if not data.strip():
            return Meaning.QUIET
        try:
            document = orjson.loads(data)
        except orjson.JSONDecodeError:
            if data.strip() != b"[DONE]":  # no part of this API, but servers that imitate it send one
                return Meaning.UNPARSEABLE
            self.done = True
            return Meaning.END
        if not isinstance(document, dict):
            return Meaning.UNPARSEABLE
        self.document = document
        return self._meaning(document)

    def _meaning(self, document: Document) -> Meaning:
        kind = document.get("type")
        if kind == "error" or document.get("error"):  # OpenAI's SDK raises on any event with an `error`
            self.error = error_of(document)
            return Meaning.ERROR
        if not isinstance(kind, str) or not kind.startswith("response."):
            return Meaning.UNKNOWN
        if kind.endswith(".delta"):
            self.tokens += 1
            if kind == "response.refusal.delta":
                self.refused = True
            return Meaning.CONTENT
        response = document.get("response")
        if isinstance(response, dict):
            self._look_at(response)
        if kind in _ENDS:
            self.done = True
            self.finished = _ENDS[kind]
            if self.finished:
                return Meaning.END
            self.error = error_of(document)
            return Meaning.ERROR
        if kind in _STARTS:
            return Meaning.CONTENT
        return Meaning.QUIET if kind.endswith(_STEPS) else Meaning.UNKNOWN

    def _look_at(self, response: Document) -> None:
        """What the answer tells of itself; most of it only at its end."""
        model = response.get("model")
        if isinstance(model, str):
            self.model = model
        self.usage = usage_of_response(response) or self.usage
        details = response.get("incomplete_details")
        if isinstance(details, dict) and details.get("reason") == "content_filter":
            self.refused = True
