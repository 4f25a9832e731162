"""Reads a stream of OpenAI's chat completions, or of its legacy completions.

Fields: `openai.types.chat.ChatCompletionChunk`, `openai.types.Completion`. Servers that
imitate them differ where nothing is said: usage comes on each chunk, as null or never;
reasoning comes as `reasoning_content` (DeepSeek) or `reasoning` (vLLM, OpenRouter);
errors come as an object named `error`, or bare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from sidecar.dialects.llm_errors import error_of, read_error
from sidecar.dialects.llm_usage import usage_of_completion
from sidecar.dialects.stream_reader import CONTENT, QUIET, Meaning
from sidecar.dialects.text_reader import TextReader

if TYPE_CHECKING:
    from sidecar.dialects.sse import Event
    from sidecar.llm import Document

MOST_CHOICES = 4096
"""So many are told apart, whatever a stream says: some prompts of 128 each, which is the most that OpenAI takes."""

_DONE = b"[DONE]"


class OpenAIReader(TextReader):
    """A `StreamReader`. Of an answer with several choices, `text` is that of the first."""

    def __init__(self, *, keep_text: bool = False) -> None:
        super().__init__(keep_text=keep_text)
        self._begun: set[int] = set()
        self._open: set[int] = set()

    @property
    def choices(self) -> int:
        return len(self._begun)

    def read(self, event: Event) -> Meaning:
        try:
            document = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            return self._no_object(event)
        if type(document) is not dict:
            return self._no_object(event)
        self.document = document
        if document.get("error") or event.name == b"error":
            self.error = error_of(document)
            return Meaning.ERROR
        if not self.model:
            model = document.get("model")
            self.model = model if isinstance(model, str) else ""
        if document.get("usage") is not None:
            self.usage = usage_of_completion(document) or self.usage
        choices = document.get("choices")
        if type(choices) is not list:
            return self._without_choices(document)
        meaning = QUIET
        for choice in choices:
            if type(choice) is dict and self._says(choice):
                meaning = CONTENT
        return meaning

    def _says(self, choice: Document) -> bool:
        """Whether the choice's part of a chunk is content."""
        index = choice.get("index")
        if type(index) is not int:
            index = 0
        if index not in self._begun and len(self._begun) < MOST_CHOICES:
            self._begin(index)
        delta = choice.get("delta")
        told = False
        if type(delta) is dict:
            content = delta.get("content")
            if (not content or len(delta) > 1) and self._holds_more(delta):
                told = True
        else:
            content = choice.get("text")
        if content:
            self._hear(content, index)
            told = True
        elif told:
            self.tokens += 1
        reason = choice.get("finish_reason")
        if reason:
            self._finish(index, reason)
            told = True
        return told

    def _holds_more(self, delta: Document) -> bool:
        """Whether a delta holds anything besides text; null, "" and [] stand for nothing."""
        if delta.get("refusal"):
            self.refused = True
        elif not (
            delta.get("tool_calls")
            or delta.get("reasoning_content")
            or delta.get("reasoning")
            or delta.get("function_call")
            or delta.get("audio")
        ):
            return False
        self._cannot_go_on()
        return True

    def _begin(self, index: int) -> None:
        self._begun.add(index)
        self._open.add(index)
        self.finished = False
        if len(self._begun) > 1:
            self._cannot_go_on()

    def _hear(self, content: Any, index: int) -> None:
        self.tokens += 1
        if type(content) is not str:  # parts of text and thinking (Mistral)
            self._cannot_go_on()
            return
        self.resumable = self._text_alone
        if index == 0:
            self._keep(content)

    def _finish(self, index: int, reason: Any) -> None:
        self._open.discard(index)
        self.finished = not self._open
        self._cannot_go_on()
        if reason == "content_filter":
            self.refused = True

    def _without_choices(self, document: Document) -> Meaning:
        kind = document.get("object") or document.get("type")
        bare = isinstance(document.get("message"), str) and ("code" in document or "type" in document)
        if kind == "error" or bare:
            self.error = error_of(document)
            return Meaning.ERROR
        return QUIET if isinstance(document.get("usage"), dict) else Meaning.UNKNOWN

    def _no_object(self, event: Event) -> Meaning:
        self.document = None
        data = event.data.strip()
        if event.name == b"error":
            self.error = read_error(500, data)
            return Meaning.ERROR
        if not data:
            return QUIET
        if data.startswith(_DONE):  # as OpenAI's SDK looks at it
            self.done = True
            return Meaning.END
        return Meaning.UNPARSEABLE
