"""Lists of models: what providers of both dialects answer to `GET /models`, and one list of all of it.

The shapes are those of the official SDKs (openai `Model`, anthropic `ModelInfo`). An entry of
the caller's own dialect stays as its provider wrote it. What nobody knows of a model is told
as both APIs tell it: it was made in 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import parse_qsl, urlencode

import orjson

from sidecar.llm import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidecar.llm import Document

MOST_PER_PAGE = 1000
"""Anthropic's own bound on `limit`."""

_EPOCH = "1970-01-01T00:00:00Z"
_PAGING = frozenset({"limit", "after_id", "before_id"})


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer lists. `after`: more follow behind this id, empty when that is all."""

    entries: list[Document]
    after: str = ""


def read_page(body: bytes) -> Page | None:
    """The models that an answer lists, those without an id left out; None when it is no list of models."""
    document = _parsed(body)
    if not isinstance(document, dict) or not isinstance(data := document.get("data"), list):
        return None
    after = document.get("last_id") if document.get("has_more") is True else ""
    return Page([entry for entry in data if _is_model(entry)], after if isinstance(after, str) else "")


def read_model(body: bytes) -> Document | None:
    """The model that an answer tells of; None when it tells of none."""
    document = _parsed(body)
    return document if _is_model(document) else None


def dialect_of(entry: Document) -> Dialect:
    """In whose shape a model is told: Anthropic's has a type, OpenAI's is an object."""
    return Dialect.ANTHROPIC if entry.get("type") == "model" and "object" not in entry else Dialect.OPENAI


def named(name: str, dialect: Dialect) -> Document:
    """A model of the policy file."""
    return told({"id": name, "object": "model", "created": 0, "owned_by": "sidecar"}, dialect, "sidecar")


def told(entry: Document, dialect: Dialect, owner: str) -> Document:
    """A model in this dialect; `owner` is the upstream that told of it."""
    if dialect_of(entry) is dialect:
        if dialect is Dialect.ANTHROPIC:
            return entry
        return {"object": "model", "created": 0, "owned_by": owner, **entry}
    name = entry["id"]
    if dialect is Dialect.OPENAI:
        return {"id": name, "object": "model", "created": _seconds(entry.get("created_at")), "owned_by": owner}
    shown = entry.get("display_name")
    return {
        "type": "model",
        "id": name,
        "display_name": shown if isinstance(shown, str) and shown else name,
        "created_at": _moment(entry.get("created")),
        "lifecycle": "active",
    }


def write_model(entry: Document) -> bytes:
    """One model as JSON."""
    return orjson.dumps(entry)


def write_list(entries: Iterable[Document], dialect: Dialect, query: bytes) -> bytes:
    """The list as JSON, each id once, its first entry. OpenAI's has no pages; Anthropic's are asked for by `query`:
    `limit`, `after_id`, `before_id`.
    """
    known: dict[str, Document] = {}
    for entry in entries:
        known.setdefault(entry["id"], entry)
    data = list(known.values())
    if dialect is Dialect.OPENAI:
        return orjson.dumps({"object": "list", "data": data})
    data, more = _cut(data, query)
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return orjson.dumps({"data": data, "has_more": more, "first_id": first, "last_id": last})


def next_page(query: bytes, after: str) -> bytes:
    """The query, `?` included, that asks a provider for what is behind this id; `after` empty: from the start.

    Of the caller's parameters those stay that are not about pages.
    """
    kept = [(name, value) for name, value in _parameters(query) if name not in _PAGING]
    if after:
        kept += [("limit", str(MOST_PER_PAGE)), ("after_id", after)]
    return b"?" + urlencode(kept).encode() if kept else b""


def _cut(data: Sequence[Document], query: bytes) -> tuple[list[Document], bool]:
    """The page that is asked for, and whether there are more in its direction."""
    asked = dict(_parameters(query))
    digits = asked.get("limit", "")
    limit = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 5 else 0
    most = limit or len(data)
    places = {entry["id"]: index for index, entry in enumerate(data)}
    if before := asked.get("before_id"):
        end = places.get(before, 0)
        begin = max(0, end - most)
        return list(data[begin:end]), begin > 0
    begin = 0
    if after := asked.get("after_id"):
        begin = places.get(after, len(data)) + 1
    return list(data[begin : begin + most]), begin + most < len(data)


def _parameters(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.removeprefix(b"?").decode("latin-1"), keep_blank_values=True)


def _parsed(body: bytes) -> object:
    """What can be written again as well: the parser takes deeper nesting than the writer."""
    try:
        document: object = orjson.loads(body)
        orjson.dumps(document)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return document


def _is_model(entry: object) -> TypeGuard[Document]:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str) and bool(entry["id"])


def _seconds(moment: object) -> int:
    """Seconds since 1970 of an RFC 3339 date and time; 0 of what is none."""
    try:
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else None
    except ValueError:
        return 0
    return int(when.replace(tzinfo=when.tzinfo or UTC).timestamp()) if when is not None else 0


def _moment(seconds: object) -> str:
    """RFC 3339; the epoch when it is no such time."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return _EPOCH
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return _EPOCH
