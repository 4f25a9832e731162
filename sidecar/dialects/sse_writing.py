"""Server-sent events written, as either dialect's clients read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from sidecar.dialects.translated import BadEvent

if TYPE_CHECKING:
    from sidecar.llm import Document

DONE = b"data: [DONE]\n\n"
"""The last event of an OpenAI stream."""


def written(value: object) -> bytes:
    """As JSON. Raises `BadEvent` for what has none: half a surrogate pair, a number beyond 64 bits, an abyss."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise BadEvent(f"it cannot be written as JSON: {error}") from error


def data_event(document: Document) -> bytes:
    """OpenAI's: it has no name. Raises `BadEvent`."""
    return b"data: %b\n\n" % written(document)


def named_event(document: Document) -> bytes:
    """Anthropic's, whose SDK skips an event that has no name: it is called as its `type`. Raises `BadEvent`."""
    name = document.get("type")
    if not isinstance(name, str) or not name.isprintable():
        raise BadEvent("type: a name is due")
    return b"event: %b\ndata: %b\n\n" % (name.encode(), written(document))
