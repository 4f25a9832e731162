"""JSON that comes from outside, as the providers' own clients and servers read it.

What JavaScript and Python write and read is a little more than orjson takes: half a surrogate pair (RFC 8259,
section 8.2), where a limit has cut an emoji; `NaN` and `Infinity`, from models that ran out of numbers; a byte order
mark. The bytes of such a body go on as they are. What is read of it has question marks for such halves, and null for
such numbers.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def parsed(body: bytes) -> Any:
    """The body as JSON. Raises `orjson.JSONDecodeError` for what nobody reads."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as refusal:
        try:
            value = json.loads(body.decode("utf-8-sig"), parse_constant=_null, parse_float=_finite)
            return orjson.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        except (ValueError, RecursionError):
            raise refusal from None


def _null(_word: str) -> None:
    """Instead of a number that is none."""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if abs(number) != float("inf") else None
