"""The nouns of LLM traffic: which dialect a call speaks, what it asks for, what it cost.

A call on a route that leads to LLM providers has an `Ask`, read once off its path
and body. Upstreams answer it in the caller's dialect, whatever their own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Literal

Document = dict[str, Any]
"""A JSON object, as parsed."""


class Dialect(enum.Enum):
    """Whose API it is."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Kind(enum.Enum):
    """Which operation of the API; the value is its path below the version prefix."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    MODERATIONS = "moderations"
    RESPONSES = "responses"
    MESSAGES = "messages"
    COUNT_TOKENS = "messages/count_tokens"
    MODELS = "models"
    OTHER = ""
    """Passed through untouched, to the first upstream alone."""


@dataclass(slots=True)
class Usage:
    """Tokens of one answer. `input` counts all of the prompt, `cached` the part of it that was read from a cache;
    `output` counts all that was generated, reasoning included.
    """

    input: int = 0
    output: int = 0
    cached: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output

    def plus(self, other: Usage) -> Usage:
        return Usage(self.input + other.input, self.output + other.output, self.cached + other.cached)


@dataclass(frozen=True, slots=True)
class LlmOptions:
    """The LLM keys of a route."""

    stream: Literal["live", "complete"] = "live"
    on_break: Literal["error", "continue"] = "error"
    strict: bool = False
    """A target that would lose any field of a request is skipped."""


@dataclass(slots=True, eq=False)
class Ask:
    """What an LLM call asks for.

    `document` is the parsed body of the kinds that have a model, None of all others.
    `path` is the request's path below its version prefix, with a slash before it, and `query`
    what came behind, `?` included.
    """

    dialect: Dialect
    kind: Kind
    path: bytes
    query: bytes = b""
    document: Document | None = None
    model: str = ""
    """As the caller named it."""
    stream: bool = False
    usage_asked: bool = False
    """OpenAI: the stream is to end with its usage."""
    reasoning: bool = False
    """It asks for reasoning or thinking: the first token may take minutes."""
    tied: bool = False
    """It names state that only one provider has."""
    credential: str = ""
    """A digest of the caller's own, empty when it sent none."""
    estimate: int = 0
    """Tokens that it may use, by its size and its `max_tokens`."""
    options: LlmOptions = field(default_factory=LlmOptions)
    resuming: bool = False
    """The answer that the caller was getting broke: the next target goes on …"""
    so_far: str = ""
    """… behind this text of it."""
    said: dict[str, Any] = field(default_factory=dict)
    """What the request is in other dialects, once it was translated: targets of one dialect share it."""
    answered_by: str = ""
    """The model whose answer the caller gets."""
    usage: Usage | None = None
    """What that answer cost, once it is over."""

    def forget(self) -> None:
        """An answer is on its way and nobody else will be asked: the request, which parsed is some times as large as
        its body, takes no memory any more.
        """
        self.document, self.said = None, {}
