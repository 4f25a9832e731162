"""One log line: a dict in, bytes out, as JSON for machines or as text for people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import orjson

Fields = dict[str, Any]
Format = Callable[[Fields], bytes]

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_HEADS = frozenset({"timestamp", "level", "message", "exception"})
_MILLISECONDS = tuple(f"{ms:03d}Z" for ms in range(1000))


class Timestamp:
    """RFC 3339 in UTC with milliseconds. The last text is kept, and the text of its second:
    150 ns where strftime and a format take 900. For one thread.
    """

    __slots__ = ("_last", "_millisecond", "_second", "_text", "_wall")

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._millisecond = -1
        self._last = ""
        self._second = -1
        self._text = ""

    def __call__(self) -> str:
        return self.of(self._wall())

    def of(self, now: float) -> str:
        """The text of a Unix time."""
        millisecond = int(now * 1000.0)
        if millisecond != self._millisecond:
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
                self._second = second
            self._millisecond = millisecond
            self._last = self._text + _MILLISECONDS[rest]
        return self._last


def as_json(fields: Fields) -> bytes:
    """One JSON object and a line end. What JSON cannot say is written as its `str`."""
    try:
        return orjson.dumps(fields, default=str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # half a surrogate pair (a file name that is not UTF-8), a key that is no text
        return json.dumps(fields, default=str, skipkeys=True).encode() + b"\n"


def as_text(fields: Fields) -> bytes:
    """`12:30:01.250 INFO    message key=value`; a traceback follows on lines of its own."""
    rest = " ".join(f"{key}={_plain(value)}" for key, value in fields.items() if key not in _HEADS and value != "")
    line = f"{fields['timestamp'][11:23]} {fields['level'].upper():<7} {_plain(fields['message'])} {rest}".rstrip()
    if "exception" in fields:
        line += f"\n{fields['exception']}"
    return line.encode(errors="backslashreplace") + b"\n"


def _plain(value: object) -> str:
    """Without control characters: a caller's path must not move the cursor of a terminal."""
    return str(value).translate(_CONTROLS)


FORMATS: dict[str, Format] = {"json": as_json, "console": as_text}
