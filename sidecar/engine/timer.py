"""One timer for one attempt, and the wheel that makes it cheap.

A timer cancels its task, and tells its own cancellation from the caller's leaving
even when both happen in one turn of the loop (`Task.uncancel`, as in
`asyncio.timeout`, which takes 3.6 us).

Nearly all attempts end long before their time. So a timer does not go to the loop
(1.8 us on uvloop, to be set and taken back) but into a slot of the wheel, a set of all
timers due in the same quarter of a second (0.2 us). When a slot comes up, what is
still in it gets a timer of the loop, and fires at its exact moment.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sidecar.call import NO_DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

SLOT = 0.25
"""Seconds of one slot of the wheel."""

FARTHEST = 3600.0
"""Seconds: a timer that is due later waits here first. Callers name deadlines, and each slot takes memory."""


TICK = 0.001
"""Seconds: uvloop counts whole milliseconds, so a timer may fire so much too early. In less nothing can be begun."""


class Wheel:
    """The timers that are not due soon."""

    __slots__ = ("_slots", "loop")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._slots: dict[int, set[Timer]] = {}

    def slot(self, when: float) -> set[Timer]:
        """The slot for that moment (loop time)."""
        number = int(when / SLOT)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = set()
            self.loop.call_at(number * SLOT, self._comes_up, number)
        return slot

    def _comes_up(self, number: int) -> None:
        for timer in self._slots.pop(number):
            timer.due_soon()


class Timer:
    """Cancels the task that made it at a moment; `expired` tells whether a cancellation was its own."""

    __slots__ = ("_fired", "_handle", "_later", "_slot", "_task", "_wheel", "when")

    def __init__(self, wheel: Wheel) -> None:
        self._wheel = wheel
        task = asyncio.current_task(wheel.loop)
        assert task is not None, "a timer is made inside a coroutine"
        self._task: asyncio.Task[Any] = task
        self._slot: set[Timer] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._fired = False
        self._later: Callable[[], float] | None = None
        self.when = NO_DEADLINE
        """The moment set last (loop time)."""

    def arm(self, when: float, now: float, later: Callable[[], float] | None = None) -> None:
        """Fire at `when` (loop time) instead of any moment set before; if `later` is given and tells a later moment
        then, wait for that one instead.
        """
        if self._slot is not None or self._handle is not None:
            self.disarm()
        self._later = later
        if when == NO_DEADLINE:
            return
        self.when = when
        left = when - now
        if left > 2 * SLOT:
            slot = self._slot = self._wheel.slot(when if left < FARTHEST else now + FARTHEST)
            slot.add(self)
        else:
            self.due_soon()

    def disarm(self) -> None:
        self._later = None
        slot = self._slot
        if slot is not None:
            slot.discard(self)
            self._slot = None
        elif self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def due_soon(self) -> None:
        """Ask the loop to be called at the exact moment."""
        self._slot = None
        self._handle = self._wheel.loop.call_at(self.when, self._fire)

    def _fire(self) -> None:
        self._handle = None
        if self._later is not None:
            when = self._later()
            if when > self.when:
                self.arm(when, self._wheel.loop.time())
                return
        self._fired = True
        self._task.cancel()

    def expired(self) -> bool:
        """After a `CancelledError`: was it this timer's, and nobody else's?"""
        if not self._fired:
            return False
        self._fired = False
        return self._task.uncancel() == 0
