"""What happens, told live to whoever listens at `GET /events` and `GET /live`.

Without a listener an event costs one look at an empty set. A listener that does
not keep up loses events, oldest first, and is told how many; nobody waits for it.
What each frame adds to (`keep`) is not lost: who leaves too many of those is cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from sidecar.telemetry.lines import as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.telemetry.lines import Timestamp

MOST_LISTENERS = 32
BACKLOG = 256
"""Events that wait for one listener at most."""
KEPT = 10
"""Frames that may not be lost and wait for one listener at most. All listeners are given the same bytes."""


class Listening:
    """One listener's place: frames of server-sent events, ready to be written."""

    def __init__(self, events: Events, backlog: int, gone: Callable[[Listening], None] | None = None) -> None:
        self._events = events
        self._gone = gone
        self._kept: list[bytes] = []
        self._frames: deque[bytes] = deque(maxlen=backlog)
        self._dropped = 0
        self._closed = False
        self._woken = asyncio.Event()

    def put(self, frame: bytes) -> None:
        if len(self._frames) == self._frames.maxlen:
            self._dropped += 1
        self._frames.append(frame)
        self._woken.set()

    def keep(self, frame: bytes) -> None:
        """A frame that may not be lost, before the events that wait. Where ten of them wait, the place is closed."""
        if len(self._kept) == KEPT:
            self._kept.clear()
            self._frames.clear()
            self.close()
            return
        self._kept.append(frame)
        self._woken.set()

    async def frames(self) -> bytes:
        """All that waits, at least one frame; a `dropped` event first when some were lost.

        Empty only when the place was closed and nothing is left.
        """
        await self._woken.wait()
        if not self._closed:
            self._woken.clear()
        waiting = list(self._frames)
        self._frames.clear()
        if self._dropped:
            waiting.insert(0, frame("dropped", {"event": "dropped", "count": self._dropped}))
            self._dropped = 0
        kept, self._kept = self._kept, []
        return b"".join((*kept, *waiting))

    def close(self) -> None:
        """Give the place back, and wake who waits here."""
        if self._closed:
            return
        self._closed = True
        self._events.listeners.discard(self)
        self._woken.set()
        if self._gone is not None:
            self._gone(self)


class Events:
    """Hands each event to every listener."""

    def __init__(self, timestamp: Timestamp) -> None:
        self._timestamp = timestamp
        self.listeners: set[Listening] = set()

    def listen(self, backlog: int = BACKLOG, gone: Callable[[Listening], None] | None = None) -> Listening | None:
        """A place to listen from (close it; `gone` hears of that), or None when too many listen already."""
        if len(self.listeners) >= MOST_LISTENERS:
            return None
        listening = Listening(self, backlog, gone)
        self.listeners.add(listening)
        return listening

    def tell(self, kind: str, **what: object) -> None:
        """Something of this kind happened. Look at `listeners` first where calls are many."""
        if not self.listeners:
            return
        told = frame(kind, {"event": kind, "timestamp": self._timestamp(), **what})
        for listening in self.listeners:
            listening.put(told)


def frame(kind: str, what: dict[str, object]) -> bytes:
    """One event in the text/event-stream format (HTML Standard, section 9.2.6)."""
    return b"event: %b\ndata: %b\n" % (kind.encode(), as_json(what))
