"""One timer for one attempt.

`asyncio.timeout_at` does the same in 3.6 us; this is a `call_at`, a flag and the
same bookkeeping with `Task.uncancel`, so that a timeout is told from the
caller's leaving even when both happen in one turn of the loop.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sidecar.call import NO_DEADLINE


class Timer:
    """Cancels its task at a moment; `expired` tells whether a cancellation was its own."""

    __slots__ = ("_fired", "_handle", "_loop", "_task")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        assert task is not None, "a timer is made inside a coroutine"
        self._task: asyncio.Task[Any] = task
        self._handle: asyncio.TimerHandle | None = None
        self._fired = False

    def arm(self, when: float) -> None:
        """Fire at `when` (loop time) instead of any moment set before."""
        self.disarm()
        if when < NO_DEADLINE:
            self._handle = self._loop.call_at(when, self._fire)

    def disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._fired = True
        self._task.cancel()

    def expired(self) -> bool:
        """After a `CancelledError`: was it this timer's, and nobody else's?"""
        if not self._fired:
            return False
        self._fired = False
        return self._task.uncancel() == 0
