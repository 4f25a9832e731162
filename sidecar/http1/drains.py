"""Replies that nobody waits for any more, read to their end.

Some servers cannot bear a client that leaves before its answer: the write that
meets a closed connection kills them. What such a connection still brings is
dropped as it comes, by callbacks of the connection itself, so that no task is
needed and nothing piles up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.http1.client import ClientConnection

LONGEST = 30.0
"""Seconds for which an unwanted reply is read at most; then the connection is closed all the same."""


class Drains:
    """The connections of one upstream whose replies are unwanted; each is read for at most `seconds`."""

    def __init__(self, seconds: float = LONGEST) -> None:
        self._seconds = seconds
        self._running: set[ClientConnection] = set()

    def __len__(self) -> int:
        return len(self._running)

    def take(self, connection: ClientConnection, over: Callable[[], object]) -> None:
        """Read to the end of the reply that `connection` owes; then call `over`, once.

        What becomes of the connection is for `over` to say: it is `complete`, or closed.
        """

        def ended() -> None:
            self._running.remove(connection)
            over()

        self._running.add(connection)
        _Drain(connection, self._seconds, ended)

    def cut(self) -> None:
        """Close them all now: there is no time left."""
        for connection in self._running:
            connection.close()


class _Drain:
    __slots__ = ("_connection", "_ended", "_timer")

    def __init__(self, connection: ClientConnection, seconds: float, ended: Callable[[], object]) -> None:
        self._connection = connection
        self._ended = ended
        self._timer = asyncio.get_running_loop().call_later(seconds, connection.close)
        self._go_on()

    def _go_on(self, _woken: asyncio.Future[None] | None = None) -> None:
        more = self._connection.skip()
        if more is not None:
            more.add_done_callback(self._go_on)
            return
        self._timer.cancel()
        self._ended()
