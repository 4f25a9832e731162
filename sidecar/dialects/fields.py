"""Fields of a request that may be any JSON: read as the type they must have, and those that a translation loses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sidecar.dialects.translated import Untranslatable

if TYPE_CHECKING:
    from collections.abc import Container

    from sidecar.llm import Document

_FIT_TO_TELL = re.compile(r"[\w.-]{1,64}", re.ASCII)


class Lost:
    """Names of what a translation loses, each once, as first met."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """A name that a caller made up may break a header field, or fill it: such a one is `?`."""
        self._names[name if _FIT_TO_TELL.fullmatch(name) else "?"] = None

    def unknown(self, value: Document, known: Container[str], place: str) -> None:
        """Adds the fields of `value` that are not known and say something: null and what is empty say nothing."""
        for name, inner in value.items():
            if name not in known and inner not in (None, "", [], {}):
                self.add(place + name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._names)


def text(value: Any, place: str) -> str:
    if type(value) is not str:
        raise Untranslatable(f"{place}: is no string")
    return value


def some_text(value: Any, place: str) -> str:
    if not text(value, place):
        raise Untranslatable(f"{place}: is empty")
    return str(value)


def document(value: Any, place: str) -> Document:
    if type(value) is not dict:
        raise Untranslatable(f"{place}: is no object")
    return value


def documents(value: Any, place: str) -> list[Document]:
    """A list of objects."""
    for inner in items(value, place):
        document(inner, place)
    return list(value)


def items(value: Any, place: str) -> list[Any]:
    if type(value) is not list:
        raise Untranslatable(f"{place}: is no list")
    return value


def flag(value: Any, place: str) -> bool:
    if type(value) is not bool:
        raise Untranslatable(f"{place}: is neither true nor false")
    return value


def number(value: Any, place: str) -> float:
    if type(value) is not int and type(value) is not float:
        raise Untranslatable(f"{place}: is no number")
    return value


def count(value: Any, place: str) -> int:
    """A whole number that is at least one."""
    if type(value) is not int or value < 1:
        raise Untranslatable(f"{place}: is no count of at least 1")
    return value


def word(value: Any) -> str:
    """The type or the role of something as a message can show it: it may be anything, of any length and depth."""
    if type(value) is list:
        return "[…]"
    return "{…}" if type(value) is dict else f"{value!r:.40}"
