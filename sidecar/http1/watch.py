"""One timer for a connection, moved lazily.

A timer armed and cancelled for each request costs 1 us and leaves a heap of dead
entries. This one is left armed; when it fires it looks at what is waited for now,
and goes on to that moment or reports that patience is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Watch:
    """`patience()` is how long (seconds) the present state may last, 0 for ever; then `over()` is called."""

    __slots__ = ("_at", "_loop", "_over", "_patience", "_since", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, patience: Callable[[], float], over: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._patience = patience
        self._over = over
        self._since = 0.0
        self._at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The state has changed just now, or something moved in it."""
        self._since = since = self._loop.time()
        patience = self._patience()
        if patience and (self._timer is None or since + patience < self._at):
            self._arm(since + patience)

    def stop(self) -> None:
        """For good."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        patience = self._patience()
        if not patience:
            return  # nothing is waited for; whatever comes next begins anew
        if self._loop.time() < self._since + patience:
            self._arm(self._since + patience)
        else:
            self._over()
