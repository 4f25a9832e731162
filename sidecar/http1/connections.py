"""The caller connections that are open: to count them, and to end them when draining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Open(Protocol):
    """What a connection shows to the registry."""

    @property
    def idle(self) -> bool:
        """No request is being read, waiting or answered."""

    def close_when_idle(self) -> None:
        """Close now if idle; a busy one closes after its reply because of `draining`."""

    def abort(self) -> asyncio.Task[None] | None:
        """End at once, whatever is going on; what still has to hear of it."""


class Connections:
    """Every open connection of the listeners that share it.

    `on_change` is called after each opening and closing; the listener pauses
    accepting by it. While `draining` is set each reply says `Connection: close`.
    """

    __slots__ = ("_open", "draining", "on_change")

    def __init__(self, on_change: Callable[[], None] | None = None) -> None:
        self._open: set[Open] = set()
        self.draining = False
        self.on_change = on_change

    @property
    def count(self) -> int:
        return len(self._open)

    @property
    def idle(self) -> int:
        """How many wait for a request. Counted when asked: it is asked rarely."""
        return sum(connection.idle for connection in self._open)

    def add(self, connection: Open) -> None:
        self._open.add(connection)
        if self.on_change is not None:
            self.on_change()

    def discard(self, connection: Open) -> None:
        """Forget it; nothing happens if it is not known (any more)."""
        if connection in self._open:
            self._open.remove(connection)
            if self.on_change is not None:
                self.on_change()

    def close_idle(self) -> None:
        for connection in list(self._open):
            connection.close_when_idle()

    def abort_all(self) -> list[asyncio.Task[None]]:
        """The end of a drain that took too long. The tasks that clean up behind it: soon done."""
        return [task for connection in list(self._open) if (task := connection.abort()) is not None]
