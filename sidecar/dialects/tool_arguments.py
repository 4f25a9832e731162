"""The arguments of a tool call: OpenAI has them as a text of JSON, Anthropic as the object itself."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from sidecar.llm import Document

_LONG_NUMBER = re.compile(r"\d{19}")
_DEEP = 200
"""Brackets that may stand deeper than orjson writes (254 levels); it reads 1024."""


def parsed(arguments: str) -> Document:
    """The object that the text is. Tools without parameters get "", blanks or null from some models: an empty one.

    Raises ValueError, whose text says what the arguments are or have.
    """
    if not arguments or arguments.isspace():
        return {}
    try:
        value = orjson.loads(arguments)
        if _LONG_NUMBER.search(arguments):  # orjson makes a float of one beyond 64 bits: a wrong number
            value = json.loads(arguments, parse_int=_whole)
    except RecursionError:
        raise ValueError("are nested too deep") from None
    except json.JSONDecodeError:  # orjson's is one, too
        raise ValueError("are no JSON") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("are no object")  # noqa: TRY004 - it is the text that is wrong, not its type
    if arguments.count("{") + arguments.count("[") > _DEEP:
        _check_depth(value)
    return value


def _whole(digits: str) -> int:
    value = int(digits)  # orjson has refused those of so many digits that Python makes no int of them
    if not -(2**63) <= value < 2**64:
        raise ValueError("have a whole number of more than 64 bits")
    return value


def _check_depth(value: Document) -> None:
    """As deep as it will stand in a message: a block of a turn of a list."""
    try:
        orjson.dumps([[[[[value]]]]])
    except orjson.JSONEncodeError:
        raise ValueError("are nested too deep") from None
