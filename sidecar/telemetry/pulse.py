"""Traffic in numbers for people who watch: what was counted since the last look, and how long calls took.

Counts are differences of the metrics that are there already, so they add up to
them, and nothing more is counted where calls go. Latencies are of the calls that
the timeline remembers: with more than 1,000 of them in the time, of the newest.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sidecar.errors import NoRoute
from sidecar.telemetry.access_log import SERVER_FAULTS
from sidecar.telemetry.metrics import NO_ROUTE, category
from sidecar.turns import in_turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from sidecar.telemetry.lines import Fields
    from sidecar.telemetry.metrics import Metrics
    from sidecar.telemetry.series import Number
    from sidecar.telemetry.timeline import Finished

RECENT = 10.0
"""Seconds of calls that latencies are made of."""

_Seen = tuple["Number", int]
"""A series, and its value at the last look."""

LOOKED_AT = 500
"""Series that are read before calls have a turn: 0.1 ms."""

TOTAL = ""
"""No route's name."""

TUNNEL = 101
"""The status of a call that became a tunnel: how long it was open is no latency."""


@dataclass(slots=True)
class Counts:
    """Of one route: calls that ended; of them errors (5xx, 408, and the gRPC codes that are no caller's fault) and
    those that were refused by us before any attempt; retries and fallbacks.
    """

    calls: int = 0
    errors: int = 0
    refused: int = 0
    retries: int = 0
    fallbacks: int = 0

    def told(self) -> Fields:
        return asdict(self)


def summed(counts: Iterable[Counts]) -> Counts:
    """Of several routes together."""
    total = Counts()
    for one in counts:
        total.calls += one.calls
        total.errors += one.errors
        total.refused += one.refused
        total.retries += one.retries
        total.fallbacks += one.fallbacks
    return total


class Rates:
    """What was counted since the last look, by route. The first look is at all that was ever counted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seen: dict[str, dict[tuple[str, ...], _Seen]] = defaultdict(dict)

    @property
    def series(self) -> int:
        """How many are remembered."""
        return sum(len(seen) for seen in self._seen.values())

    async def look(self) -> dict[str, Counts]:
        """By route; what fits into no more series is `other`'s, as in the metrics."""
        found: dict[str, Counts] = defaultdict(Counts)
        metrics = self._metrics
        async for (_, route, status), more in self._moved("http", metrics.requests.children):
            counts = found[route]
            counts.calls += more
            if status.isdecimal() and category(int(status)) == "server":
                counts.errors += more
        async for (route, _, code), more in self._moved("grpc", metrics.grpc_requests.children):
            counts = found[route]
            counts.calls += more
            if _faulty(route, code):
                counts.errors += more
        async for (route, *_), more in self._moved("retries", metrics.retries.children):
            found[route].retries += more
        async for (route, *_), more in self._moved("fallbacks", metrics.fallbacks.children):
            found[route].fallbacks += more
        async for (route,), more in self._moved("refused", metrics.refused()):
            found[route].refused += more
        return found

    async def _moved(
        self, name: str, family: Mapping[tuple[str, ...], Number]
    ) -> AsyncIterator[tuple[tuple[str, ...], int]]:
        """The series that have moved, and by how much."""
        seen = self._seen[name]
        if len(seen) > len(family):  # some were dropped by a reload
            for gone in seen.keys() - family.keys():
                del seen[gone]
        async for some in in_turns(list(family.items()), LOOKED_AT):
            for labels, number in some:
                value, known = number.value, seen.get(labels)
                # One that was dropped by a reload and has come again is another, and counts from nothing.
                before = known[1] if known is not None and known[0] is number else 0
                if value != before:
                    seen[labels] = number, value
                    yield labels, value - before


def _faulty(route: str, code: str) -> bool:
    """Over HTTP it would be a 5xx. A call that met no route is the caller's fault there, too."""
    return code in SERVER_FAULTS and not (code == NoRoute.grpc_code and route == NO_ROUTE)


def counted(calls: Iterable[Finished]) -> dict[str, Counts]:
    """The same of calls that are remembered, by what their steps tell."""
    found: dict[str, Counts] = defaultdict(Counts)
    for call in calls:
        route = call.route or NO_ROUTE
        counts = found[route]
        counts.calls += 1
        counts.errors += _faulty(route, call.code) if call.code else category(call.status) == "server"
        counts.refused += call.refused
        target = ""
        for step in call.summary.steps:
            if step.kind != "wait":
                counts.fallbacks += target not in ("", step.target)
                counts.retries += target == step.target
                target = step.target
    return found


def latencies(calls: Iterable[Finished]) -> dict[str, Fields]:
    """Percentiles by route and of all together (`TOTAL`), seconds; None where there is nothing to tell."""
    whole: dict[str, list[float]] = defaultdict(list)
    first: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        for name in (call.route or NO_ROUTE, TOTAL):
            if call.status != TUNNEL:
                whole[name].append(call.summary.seconds)
            if call.summary.ttfb > 0.0:
                first[name].append(call.summary.ttfb)
    told: dict[str, Fields] = {}
    for route in whole.keys() | first.keys():
        seconds, ttfb = sorted(whole[route]), sorted(first[route])
        told[route] = {
            **{f"p{percent}": nearest_rank(seconds, percent) for percent in (50, 95, 99)},
            **{f"ttfb_p{percent}": nearest_rank(ttfb, percent) for percent in (50, 95)},
        }
    return told


NO_LATENCY: Fields = dict.fromkeys(("p50", "p95", "p99", "ttfb_p50", "ttfb_p95"))


def nearest_rank(ordered: Sequence[float], percent: int) -> float | None:
    """The least of them that so many per cent do not exceed."""
    return round(ordered[-(-percent * len(ordered) // 100) - 1], 6) if ordered else None
