"""What those who listen to `GET /live` are told: the state, a first pulse, and each pulse after it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from sidecar.admin.answers import judged
from sidecar.telemetry.events import frame
from sidecar.telemetry.pulse import NO_LATENCY, RECENT, TOTAL, Counts, Rates, counted, latencies, summed
from sidecar.turns import in_turns
from sidecar.vitals import SLICE, Vitals, anatomy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidecar.runtime import Runtime
    from sidecar.telemetry.timeline import Finished
    from sidecar.view import View

Json = dict[str, Any]

BEAT = 1.0
"""Seconds between two pulses."""

MINUTE = 60.0
"""Seconds that a first pulse tells of, and that a route without calls stays in pulses."""

SHOWN = 50
"""Calls of one pulse that are told one by one."""


class Frames:
    """Made for all listeners of one process together, who are told the same. `wall` gives Unix time in seconds."""

    def __init__(self, view: View, wall: Callable[[], float], started: float) -> None:
        self._view = view
        self._wall = wall
        self._started = started
        self._rates = Rates(view.telemetry.metrics)
        self._vitals = Vitals(view.clock)
        self._anatomy: tuple[Runtime, Json] | None = None
        self._at = 0.0
        self._ended = 0
        self._active: dict[str, float] = {}
        """Until when each route is told of."""

    async def begin(self) -> None:
        """Look at all for the first time."""
        timeline = self._view.telemetry.timeline
        self._ended = timeline.ended
        await self._rates.look()
        await self._vitals.look(self._view.runtime)
        self._at = self._wall()

    def signs(self) -> tuple[object, ...]:
        """The state is told again when one of these is another."""
        view = self._view
        return view.runtime, view.draining, view.last_reload, dict(view.addresses), _level()

    async def state(self) -> bytes:
        view = self._view
        runtime = view.runtime
        if self._anatomy is None or self._anatomy[0] is not runtime:
            self._anatomy = runtime, await anatomy(runtime, view.loaded.secrets)
        state = {
            "version": view.version,
            "generation": runtime.engine.generation,
            "hash": view.loaded.hash,
            "file": str(view.loaded.path),
            "started": round(self._started, 3),
            "now": round(self._wall(), 3),
            "token": bool(runtime.settings.admin.token),
            "draining": view.draining,
            "listeners": view.listeners(),
            "log_level": _level(),
            **self._anatomy[1],
            "reload": view.last_reload,
        }
        return frame("state", state)

    async def first(self) -> bytes:
        """All that is known as of the last pulse, and the calls of the last minute as far as they are remembered."""
        timeline, now = self._view.telemetry.timeline, self._wall()
        newest = timeline.newest()
        recent = [call for call in newest if call.ended >= now - MINUTE]
        span = min(MINUTE, now - self._started)
        if timeline.full and len(recent) == len(newest):  # there were more, which are forgotten
            span = now - newest[-1].ended
        counts = counted(recent)
        for name in counts:
            self._active[name] = max(self._active.get(name, 0.0), now + MINUTE)
        return await self._told(now, max(span, BEAT), counts, self._vitals.known, newest, len(recent))

    async def pulse(self) -> bytes:
        """What has changed since the one before."""
        view = self._view
        timeline, now = view.telemetry.timeline, self._wall()
        newest, ended = timeline.newest(), timeline.ended - self._ended
        self._ended = timeline.ended
        counts = await self._rates.look()
        looked = await self._vitals.look(view.runtime)
        for name in counts:
            self._active[name] = now + MINUTE
        self._active = {name: until for name, until in self._active.items() if until > now}
        seconds, self._at = now - self._at, now
        return await self._told(now, max(seconds, 0.0), counts, looked, newest, ended)

    async def _told(
        self,
        now: float,
        seconds: float,
        counts: Mapping[str, Counts],
        looked: Mapping[str, Mapping[str, Json | None]],
        newest: Sequence[Finished],
        ended: int,
    ) -> bytes:
        """`newest` are the calls that are remembered, the newest one first; `ended` of them are to be told."""
        took = latencies(call for call in newest if call.ended >= now - RECENT)
        await asyncio.sleep(0)
        status, checks = judged(self._view)
        await asyncio.sleep(0)
        answered = [call for call in newest[:ended] if call.answered]
        routes = await self._routes(counts, took, self._serving(answered, by_model=False))
        shown = newest[: min(ended, SHOWN)]
        pulse = {
            "at": round(now, 3),
            "seconds": round(seconds, 3),
            "health": {"status": status, "checks": {name: said for name, said in checks.items() if said != "ok"}},
            "routes": routes,
            "total": {
                **summed(counts.values()).told(),
                "inflight": sum(route["inflight"] for route in routes.values()),
                **took.get(TOTAL, NO_LATENCY),
            },
            "models": {name: {"serving": by} for name, by in self._serving(answered, by_model=True).items()},
            **looked,
            "calls": [call.short() for call in reversed(shown)],
            "more_calls": ended - len(shown),
        }
        await asyncio.sleep(0)
        return frame("pulse", pulse)

    async def _routes(
        self, counts: Mapping[str, Counts], took: Mapping[str, Json], serving: Mapping[str, Mapping[str, int]]
    ) -> Json:
        under_way = self._view.telemetry.metrics.inflight.children
        inflight = {labels[0]: number.value for labels, number in under_way.items() if number.value}
        nothing, told = Counts().told(), {}
        async for some in in_turns([*dict.fromkeys((*self._active, *inflight))], SLICE):
            for name in some:
                told[name] = {
                    **(counts[name].told() if name in counts else nothing),
                    "inflight": inflight.get(name, 0),
                    **took.get(name, NO_LATENCY),
                    "serving": serving.get(name, {}),
                }
        return told

    def _serving(self, answered: Sequence[Finished], *, by_model: bool) -> dict[str, Counter[str]]:
        """How many calls each target has answered, by route, or by model where the policy file has a chain for it."""
        serving: dict[str, Counter[str]] = defaultdict(Counter)
        names, models = self._vitals.targets_of, self._vitals.models
        for call in answered:
            if not by_model or call.model in models:
                target = names.get((call.route, call.upstream), call.upstream)
                serving[call.model if by_model else call.route][target] += 1
        return serving


def _level() -> str:
    return logging.getLevelName(logging.getLogger().level).lower()
