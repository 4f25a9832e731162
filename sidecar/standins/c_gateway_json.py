"""JSON as c-gateway reads and writes it: strictly, and without a space."""

from __future__ import annotations

import json


def loads(text: bytes) -> object:
    """The object or array that it is; None for anything else, as for bytes that are no UTF-8 or no JSON."""
    try:
        value = json.loads(text.decode(), parse_constant=refuse)
        spaced(value)  # half of a surrogate pair can be escaped, but is no text
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def refuse(word: str) -> object:
    """NaN and Infinity are Python's. Raises `ValueError`."""
    raise ValueError(word)


def compact(value: object) -> bytes:
    """Written by the gateway itself."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def spaced(value: object) -> bytes:
    """Written by what answers for the Router, with a space after each separator."""
    return json.dumps(value, ensure_ascii=False).encode()
