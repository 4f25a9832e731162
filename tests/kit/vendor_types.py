"""Requests held against the types of the vendors' own SDKs: a name that is none of theirs fails, at any depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anthropic.types import ContentBlockParam, MessageCreateParams
from openai.types.chat import CompletionCreateParams
from pydantic import ConfigDict, TypeAdapter

if TYPE_CHECKING:
    from sidecar.llm import Document

_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
_CHAT: TypeAdapter[Any] = TypeAdapter(CompletionCreateParams, config=_STRICT)
_MESSAGES: TypeAdapter[Any] = TypeAdapter(MessageCreateParams, config=_STRICT)
_BLOCK: TypeAdapter[Any] = TypeAdapter(ContentBlockParam, config=_STRICT)
"""A request may also hold blocks of answers, which may have any field: each block is held alone as well."""

_BEYOND_ANTHROPIC = ("temperature", "top_p", "top_k")
"""The SDK names these no more, as its newest models refuse them; the older models take them."""
_BEYOND_OPENAI = ("continue_final_message", "add_generation_prompt")
"""Of vLLM and SGLang."""


def held_by_openai(document: Document) -> None:
    """The document without `model` is a chat request by OpenAI's SDK."""
    said = {name: value for name, value in document.items() if name not in _BEYOND_OPENAI}
    _exhaust(_CHAT.validate_python({"model": "m", **said}))


def held_by_anthropic(document: Document) -> None:
    """The document without `model`, and perhaps without `max_tokens`, is a request for messages by Anthropic's SDK."""
    said = {name: value for name, value in document.items() if name not in _BEYOND_ANTHROPIC}
    _exhaust(_MESSAGES.validate_python({"model": "m", "max_tokens": 1, **said}))
    for message in document["messages"]:
        if not isinstance(message["content"], str):
            for block in message["content"]:
                _exhaust(_BLOCK.validate_python(block))


def _exhaust(value: Any) -> None:
    """What the SDKs call an Iterable, pydantic validates as it is read."""
    if isinstance(value, dict):
        for inner in value.values():
            _exhaust(inner)
    elif not isinstance(value, str | bytes | int | float | None):
        for inner in value:
            _exhaust(inner)
