"""A decide, apart from the shape it stands in: what is asked, what is answered.

One question has three shapes. *Documented*: the JSON that c-gateway's manual shows
(`message {type, payload}`). *Real*: the JSON that c-gateway takes (`tenant_id`,
`request_id`, `task {type, payload}`). *gRPC*: the Router's `RouteRequest`. The
answer is due in the shape that belongs to the question, whoever gave it.

Here are the two nouns and what the translators share. Requests are read and
written in decide_request.py, answers in decide_answer.py, errors in decide_error.py.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

Json = dict[str, Any]

DECIDE_PATHS = frozenset({b"/api/v1/routes/decide", b"/api/v1/messages"})
"""Where c-gateway takes a decide, by POST. It compares them whole: with a query neither is one."""

DECIDE_PATH = b"/api/v1/routes/decide"

DEFAULT_POLICY = "default"

_TRACE = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)


class Shape(enum.Enum):
    """In which shape a decide was asked."""

    DOCUMENTED = "documented"
    REAL = "real"
    GRPC = "grpc"


class Untranslatable(ValueError):  # noqa: N818 - it is said of a decide, not of a fault
    """The decide cannot be said in the other shape; the text tells why."""


@dataclass(slots=True)
class Decide:
    """What is asked. `payload` is as it came: an object, the documented shape's text, or gRPC's bytes.

    `request_id` is never empty, `policy` neither. `sent` is the JSON document of a real
    request, which is passed on with all that this class does not name.
    """

    shape: Shape
    tenant: str
    request_id: str
    trace: str
    type: str
    payload: Json | str | bytes
    policy: str = DEFAULT_POLICY
    message_id: str = ""
    metadata: Json = field(default_factory=dict)
    context: Json = field(default_factory=dict)
    sent: Json | None = None


@dataclass(slots=True)
class Decision:
    """What is answered. `expected_latency_ms` is milliseconds; `metadata` may hold more than texts.

    `shape` is the shape it came in where it came whole, so that it may be passed on as it is.
    """

    provider_id: str
    reason: str
    priority: float
    expected_latency_ms: float
    expected_cost: float
    metadata: Json
    shape: Shape | None = None


def is_trace(text: str) -> bool:
    """Would the Router behind c-gateway take it as a trace id: 32 hexadecimal digits or a UUID of version 4?"""
    return _TRACE.fullmatch(text) is not None


def loads(document: bytes | str) -> object:
    """What a JSON document says, None where it is none."""
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        return None


def dumps(document: object) -> bytes:
    """Compact JSON. Raises `Untranslatable` for what is nested deeper than 254 levels: it can be read, not written."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError as error:
        raise Untranslatable(str(error)) from error


def as_text(value: object) -> str:
    """A JSON value where the Router has room for text only.

    Lists and objects are compact JSON. An empty list is an empty text, as the Router
    itself writes one, and so is null.
    """
    if isinstance(value, str):
        return value
    if value is None or value == []:
        return ""
    return dumps(value).decode()


def texts(table: Json) -> dict[str, str]:
    """The same names with their values made texts."""
    return {name: as_text(value) for name, value in table.items()}
