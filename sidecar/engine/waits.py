"""Where a call waits by our own doing: rate limits, queues, backoff.

Policies say "taken" or "after so many seconds"; the sleeping is done here, and
what was waited is kept for the timeline and for the overhead metric.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from sidecar.call import Step
from sidecar.errors import DeadlineExceeded, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sidecar.call import Call, Reply
    from sidecar.engine.flights import Flight
    from sidecar.engine.route import Limit
    from sidecar.engine.timer import Timer
    from sidecar.policy.concurrency import Concurrency
    from sidecar.quota import Quota

T = TypeVar("T")


class Waits:
    """The waits of one call; `total` is their sum in seconds, `steps` its timeline so far."""

    total = 0.0
    left: list[Quota] | None = None
    """What the shared limit that was drawn on last said of itself."""

    def __init__(self, call: Call, clock: Callable[[], float], timer: Timer) -> None:
        self._call = call
        self.clock = clock
        self._timer = timer
        self.steps: list[Step] = []

    async def sleep(self, seconds: float, name: str, why: str) -> None:
        began = self.clock()
        left = seconds
        while left > 0:  # uvloop counts whole milliseconds and may wake too early
            await asyncio.sleep(max(left, 0.001))
            left = began + seconds - self.clock()
        self._over(began, name, why)

    async def draw(self, limit: Limit, name: str) -> Refused | None:
        """Take from a rate limit, waiting at most its `max_wait`; the refusal when there was no place."""
        give_up = min(self.clock() + limit.max_wait, self._call.deadline)
        try:
            while (wait := await self._take(limit)) > 0:
                if self.clock() + wait > give_up:
                    return limit.refusal(name, wait)
                await self.sleep(wait, name, "rate_limit")
        except Refused as nobody_counts:
            return nobody_counts
        return None

    async def _take(self, limit: Limit) -> float:
        if limit.shared is None:
            wait = limit.take(self._call)
        else:
            wait, self.left = await limit.take_shared(limit.shared, self._call)
        return wait

    async def enter(self, concurrency: Concurrency, name: str) -> bool:
        """Take a slot, queueing at most `max_wait`."""
        if concurrency.try_enter():
            return True
        place = concurrency.enqueue()
        if place is None:
            return False
        began = self.clock()
        self._timer.arm(min(began + concurrency.settings.max_wait, self._call.deadline), began)
        try:
            await place
        except asyncio.CancelledError:
            concurrency.cancel(place)
            if not self._timer.expired():
                raise
            return False
        finally:
            self._timer.disarm()
            self._over(began, name, "queue")
        return True

    async def collect(self, most: int) -> None:
        """Have a request body of at most so many bytes here. Raises `DeadlineExceeded` by the caller's own."""
        await self._until_caller_gives_up(self._call.body.collect(most))

    async def hold(self, most: int) -> None:
        """Have the whole request body here, and keep it. Raises `BodyTooLarge`, `Overloaded`, `DeadlineExceeded`."""
        await self._until_caller_gives_up(self._call.body.hold(most))

    async def _until_caller_gives_up(self, body: Coroutine[None, None, bytes | None]) -> None:
        await self._until(self._call.caller_deadline, body, "the request body was not here in time")

    async def join(self, flight: Flight) -> Reply | None:
        """What came of an equal call; None when it has nothing to share. Raises its refusal, or `DeadlineExceeded`."""
        began = self.clock()
        try:
            return await self._until(self._call.deadline, flight.reply(), "an equal call took too long")
        finally:
            self._over(began, "", "equal_call")

    async def _until(self, deadline: float, awaited: Coroutine[None, None, T], late: str) -> T:
        self._timer.arm(deadline, self.clock())
        try:
            return await awaited
        except asyncio.CancelledError:
            if not self._timer.expired():
                raise
            raise DeadlineExceeded(late) from None
        finally:
            self._timer.disarm()

    def _over(self, began: float, name: str, why: str) -> None:
        now = self.clock()
        self.total += now - began
        self.steps.append(Step("wait", name, "", began - self._call.started, now - began, why))
