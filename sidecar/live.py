"""`GET /live`: what the sidecar is like, and its pulse, told to all who listen by one task.

There is no such task, and nothing is counted or kept, while nobody listens. All
listeners are told the same bytes at the same moments, once a second of the loop's
clock: only what has changed since the pulse before. Who comes in between begins
with all of it as of that pulse, and with the calls of the last minute as far as
the timeline remembers them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from sidecar.live_frames import BEAT, Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.telemetry.events import Listening
    from sidecar.view import View

log = logging.getLogger("sidecar")


class Live:
    """Those who listen to one process. `wall` gives Unix time in seconds."""

    def __init__(self, view: View, wall: Callable[[], float]) -> None:
        self._view = view
        self._wall = wall
        self._started = wall()
        self._newcomers: list[Listening] = []
        self._settled: list[Listening] = []
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def listen(self) -> Listening | None:
        """A place to listen from, or None when too many listen already."""
        listening = self._view.events.listen(gone=self._left)
        if listening is None:
            return None
        self._newcomers.append(listening)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="live")
            self._task.add_done_callback(self._ended)
        self._woken.set()
        return listening

    def changed(self) -> None:
        """The state is another one: who listens is told at once."""
        self._woken.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        frames = Frames(self._view, self._wall, self._started)
        await frames.begin()
        told, due = frames.signs(), _next(loop.time())
        while True:
            self._woken.clear()
            if (signs := frames.signs()) != told:
                told = signs
                self._tell(await frames.state())
            if self._newcomers:
                first = await frames.state() + await frames.first()
                coming, self._newcomers = self._newcomers, []
                self._settled += coming
                for listening in coming:
                    listening.keep(first)
            if loop.time() >= due:
                self._tell(await frames.pulse())
                due = _next(loop.time())
            timer = loop.call_at(due, self._woken.set)
            try:
                await self._woken.wait()
            finally:
                timer.cancel()

    def _tell(self, told: bytes) -> None:
        for listening in self._settled[:]:
            listening.keep(told)

    def _left(self, listening: Listening) -> None:
        for those in (self._newcomers, self._settled):
            if listening in those:
                those.remove(listening)
        if self._task is not None and not self._newcomers and not self._settled:
            self._task.cancel()
            self._task = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Because nobody listens any more; else by a bug."""
        if task.cancelled():
            return
        log.error("the live stream failed", exc_info=task.exception())
        self._task = None
        for listening in (*self._newcomers, *self._settled):
            listening.close()


def _next(now: float) -> float:
    return (math.floor(now / BEAT) + 1) * BEAT
