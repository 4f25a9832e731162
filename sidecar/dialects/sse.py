"""Server-sent events out of a stream of bytes (HTML Living Standard, section 9.2.6).

An event is a block of lines with the blank line that ends it. Lines end in LF, CR LF or
CR. A CR in the last place of a chunk may be half of a CR LF, so a block that ends there
waits for the next byte: unless the line before it, too, ended in a CR alone. Such a
stream has no CR LF to wait for, and its last event would never be seen. Should an LF
follow all the same, it is an empty block of its own, wherever the bytes were cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"
_END = re.compile(rb"\r\r|\n(?:\n|\r\n|\r(?=[^\n]))")
"""The end of a block's last line, and the blank line; of a CR LF before it the LF is enough."""
_TAIL = 2
"""So many bytes at the end of what has come may be the beginning of `_END`."""
_LF, _CR = b"\n\r"


@dataclass(slots=True)
class Event:
    """One event; `raw` is it on the wire, blank line included.

    `data` are its data lines joined by LF, empty when it has none (a comment, a keep-alive, a stray blank line).
    """

    name: bytes
    data: bytes
    raw: bytes


class Splitter:
    """Cuts a stream into events. Their raw bytes and `rest`, put together, are the stream byte for byte."""

    __slots__ = ("_begun", "_pending")

    def __init__(self) -> None:
        self._pending = bytearray()  # grows in place: an event of megabytes is not copied with each chunk
        self._begun = False

    @property
    def rest(self) -> bytes:
        """What has come of the event that is not whole yet."""
        return bytes(self._pending)

    @property
    def waiting(self) -> int:
        """How many bytes that is."""
        return len(self._pending)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole with these bytes; less than 1 us for each in the usual shapes."""
        events: list[Event] = []
        start = 0
        if self._pending:
            chunk, start = self._complete(chunk, events)
            if start < 0:
                return events
        size = len(chunk)
        simple = _CR not in chunk
        while start < size:
            if simple:
                # The usual shapes: one data line, with or without a name before it.
                at = start
                name = b""
                line = chunk.find(b"\n", at)
                if chunk.startswith(b"event: ", at):
                    name = chunk[at + 7 : line]
                    at = line + 1
                    line = chunk.find(b"\n", at)
                if 0 < line < size - 1 and chunk[line + 1] == _LF and chunk.startswith(b"data: ", at):
                    events.append(Event(name, chunk[at + 6 : line], chunk[start : line + 2]))
                    start = line + 2
                    continue
            end = _end_of_block(chunk, start, simple=simple)
            if end < 0:
                self._pending += chunk[start:]
                break
            events.append(_read(chunk[start:end], first=not (self._begun or events)))
            start = end
        if events:
            self._begun = True
        return events

    def _complete(self, chunk: bytes, events: list[Event]) -> tuple[bytes, int]:
        """Put bytes behind the pending ones. Where in which bytes the next event begins; -1 when this one goes on."""
        pending = self._pending
        if pending[0] == _CR:  # nothing else can be pending behind it
            pending.clear()
            return b"\r" + chunk, 0
        before = len(pending)
        scanned = max(before - _TAIL, 0)
        pending += chunk
        simple = pending.find(b"\r", scanned) < 0
        end = _find_end(pending, scanned, simple=simple)
        if end < 0:
            return chunk, -1
        del pending[end:]
        events.append(_read(bytes(pending), first=not self._begun))
        pending.clear()
        return chunk, end - before


def _end_of_block(chunk: bytes, start: int, *, simple: bool) -> int:
    """Where the block that begins at `start` ends, -1 when it does not yet."""
    first = chunk[start]
    if first == _LF:
        return start + 1
    if first != _CR:
        return _find_end(chunk, start, simple=simple)
    if start + 1 == len(chunk):
        return -1
    return start + (2 if chunk[start + 1] == _LF else 1)


def _find_end(buffer: bytes | bytearray, start: int, *, simple: bool) -> int:
    """The end of the first blank line behind another line; `simple`: there is no CR, which `find` is quicker for."""
    if simple:
        found = buffer.find(b"\n\n", start)
        return found + 2 if found >= 0 else -1
    match = _END.search(buffer, start)
    return match.end() if match else -1


def _read(raw: bytes, *, first: bool) -> Event:
    """A block of any shape. Only the stream's first one may begin with a byte order mark."""
    name = b""
    data: list[bytes] = []
    for line in (raw.removeprefix(_BOM) if first else raw).splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return Event(name, b"\n".join(data), raw)
