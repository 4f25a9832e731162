"""The concurrency limit (bulkhead): how many calls may be in flight, and how many may wait.

Slots are handed over in the order of arrival: `leave` gives its slot to the first
waiter, so it is never free in between and nobody overtakes. The engine waits:

    if not limit.try_enter():
        turn = limit.enqueue()          # None: the queue is full
        try:
            await turn                  # bounded by the engine's timer
        except BaseException:
            limit.cancel(turn)          # passes the slot on if it had just come
            raise
    try: ...
    finally: limit.leave()
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.settings.policies import ConcurrencySettings


class Concurrency:
    """At most `settings.max` slots, and at most `settings.queue` waiters for one."""

    __slots__ = ("_waiters", "inflight", "settings")

    def __init__(self, settings: ConcurrencySettings) -> None:
        self.settings = settings
        self.inflight = 0
        # Ordered, and one can be taken from the middle at once: a waiter that gives up frees its place.
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def become(self, settings: ConcurrencySettings) -> None:
        """Another limit from now on. Who is in stays in and counts; who waits comes in if there is room now."""
        self.settings = settings
        while self._waiters and self.inflight < settings.max:
            self.inflight += 1
            self.leave()

    def try_enter(self) -> bool:
        """Take a free slot, to be given back by `leave`."""
        if self.inflight >= self.settings.max:
            return False
        self.inflight += 1
        return True

    def enqueue(self) -> asyncio.Future[None] | None:
        """A turn in the queue: done when its holder has a slot. None when the queue is full."""
        if len(self._waiters) >= self.settings.queue:
            return None
        turn = asyncio.get_running_loop().create_future()
        self._waiters[turn] = None
        return turn

    def leave(self) -> None:
        """Give a slot back, once per slot: it goes to the first waiter that still waits, if there may be so many."""
        while self._waiters and self.inflight <= self.settings.max:
            turn, _ = self._waiters.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self.inflight -= 1

    def cancel(self, turn: asyncio.Future[None]) -> None:
        """Give up a turn, also one whose slot has just come: woken and cancelled at once leaves no slot behind."""
        self._waiters.pop(turn, None)
        if not turn.cancel() and not turn.cancelled():
            self.leave()
