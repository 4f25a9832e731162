"""On which line each key of a TOML text stands: `tomllib` reads values and tells no lines.

Only for a text that `tomllib` has accepted: the scanner then needs no grammar of
values, it only has to find where strings, arrays and inline tables end.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Place = tuple[str | int, ...]
"""Names from the root down; a number is an index into an array."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\r\n]*")
_STRINGS = {
    '"""': re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    "'''": re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    '"': re.compile(r'"(?:[^"\\]|\\.)*"'),
    "'": re.compile(r"'[^']*'"),
}


def key_lines(text: str) -> dict[Place, int]:
    """The line (from 1) on which each place is first named."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Place, int] = {}
        self._breaks = [i for i, c in enumerate(text) if c == "\n"]
        self._tables: dict[Place, int] = {}
        """Arrays of tables: how many `[[name]]` were seen."""

    def document(self) -> None:
        table: Place = ()
        while self._blank() < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Place:
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        line = self._line()
        self.at += brackets
        *parents, last = self._key()
        self.at += brackets
        place: Place = ()
        for name in parents:
            place = self._enter((*place, name), line)
        place = (*place, last)
        if brackets == 2:
            self._tables[place] = self._tables.get(place, 0) + 1
        return self._enter(place, line)

    def _enter(self, place: Place, line: int) -> Place:
        """A header that names an array of tables means its newest one."""
        self._note(place, line)
        if place in self._tables:
            place = (*place, self._tables[place] - 1)
            self._note(place, line)
        return place

    def _pair(self, table: Place) -> None:
        line = self._line()
        place = table
        for name in self._key():
            place = (*place, name)
            self._note(place, line)
        self.at += 1  # the equals sign
        self._value(place)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._match(_SPACE)
            names.append(self._name())
            self._match(_SPACE)
            if self.text[self.at] != ".":
                return names
            self.at += 1

    def _name(self) -> str:
        quote = self.text[self.at]
        if quote not in _STRINGS:
            return self._match(_BARE)
        name = tomllib.loads(f"name = {self._match(_STRINGS[quote])}")["name"]
        assert isinstance(name, str)
        return name

    def _value(self, place: Place) -> None:
        self._blank()
        first = self.text[self.at]
        if first == "[":
            self._array(place)
        elif first == "{":
            self._inline(place)
        elif first in _STRINGS:
            self._match(_STRINGS[first * 3 if self.text.startswith(first * 3, self.at) else first])
        else:
            self._match(_SCALAR)

    def _array(self, place: Place) -> None:
        index = 0
        while self._next("]"):
            item = (*place, index)
            self._note(item, self._line())
            self._value(item)
            index += 1

    def _inline(self, place: Place) -> None:
        while self._next("}"):
            self._pair(place)

    def _next(self, end: str) -> bool:
        """Past the opening bracket or a comma, to the next element; False: past the end."""
        if self.text[self.at] in "[{,":
            self.at += 1
        self._blank()
        if self.text[self.at] == ",":
            return self._next(end)
        if self.text[self.at] != end:
            return True
        self.at += 1
        return False

    def _blank(self) -> int:
        self._match(_BLANK)
        return self.at

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        assert found, f"not TOML at line {self._line()}"
        self.at = found.end()
        return found[0]

    def _line(self) -> int:
        return bisect_right(self._breaks, self.at - 1) + 1

    def _note(self, place: Place, line: int) -> None:
        self.lines.setdefault(place, line)
