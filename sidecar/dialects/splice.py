"""Another model's name in a JSON body, and no other byte of it changed.

A body may hold megabytes of images, and what a parser and a writer would make of it is not
what the caller sent. So the key is found by its spelling, and its depth by counting
brackets outside of strings, all of it in searches that run in C.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = b'"model"'
_ESCAPE = b"\\u006"
"""Each letter of the key is U+006x: a body without this spells it in one way only."""
_ESCAPED_KEY = re.compile(rb'"(?:m|\\u006[dD])(?:o|\\u006[fF])(?:d|\\u0064)(?:e|\\u0065)(?:l|\\u006[cC])"')
_COLON = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*")
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR = re.compile(_STRING + rb"|[^][{}, \t\n\r]++", re.DOTALL)
_BRACKETS = re.compile(_STRING + rb"|[][{}]", re.DOTALL)
_EMPTY = re.compile(rb"[ \t\n\r]*\}")
_BACKSLASH = ord("\\")


def with_model(body: bytes, model: str) -> bytes:
    """The body with this top-level `model`, changed in its place or added in front.

    `body` is a valid JSON object. Of a key that stands there twice parsers take either value: both are changed.
    """
    name = orjson.dumps(model)
    pieces: list[bytes] = []
    copied = 0
    for start, end in _values(body):
        pieces += (body[copied:start], name)
        copied = end
    if not pieces:
        copied = body.index(b"{") + 1
        pieces += (body[:copied], _KEY, b":", name, b"" if _EMPTY.match(body, copied) else b",")
    pieces.append(body[copied:])
    return b"".join(pieces)


def _values(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of the top-level key begin and end."""
    depth = 0
    counted = 0
    for start, end in _spelled(body):
        if body[start - 1] == _BACKSLASH:
            continue  # the end of a longer string; no valid JSON has any other string's end before these letters
        colon = _COLON.match(body, end)
        if colon is None:
            continue  # a value
        depth += _deeper(body[counted:start])
        counted = start
        if depth == 1:
            yield colon.end(), _end_of_value(body, colon.end())


def _spelled(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the key's letters stand between quotes."""
    if _ESCAPE in body:
        for match in _ESCAPED_KEY.finditer(body):
            yield match.span()
        return
    start = body.find(_KEY)
    while start >= 0:
        end = start + len(_KEY)
        yield start, end
        start = body.find(_KEY, end)


def _deeper(between: bytes) -> int:
    """How many more brackets open than close in a piece of JSON that begins and ends outside of strings."""
    if b"\\" in between:  # without escaped backslashes and escaped quotes every other piece between quotes is a string
        between = between.replace(b"\\\\", b"").replace(b'\\"', b"")
    bare = b"".join(between.split(b'"')[::2])
    return bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")


def _end_of_value(body: bytes, start: int) -> int:
    scalar = _SCALAR.match(body, start)
    if scalar is not None:
        return scalar.end()
    depth = 0
    for match in _BRACKETS.finditer(body, start):
        depth += (match[0] in b"[{") - (match[0] in b"]}")
        if depth == 0:
            return match.end()
    return len(body)
