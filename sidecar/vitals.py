"""What runs now, for those who watch: routes and their chains, targets, breakers, limits, connections.

Of 1,000 routes to 1,000 upstreams all of it takes tens of milliseconds. So it is
looked at in slices between which calls go on, and only what has changed is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.explaining import shown_match
from sidecar.turns import in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sidecar.config.places import Place
    from sidecar.engine.route import Target
    from sidecar.runtime import Runtime

Json = dict[str, Any]
Looked = dict[str, dict[str, Json | None]]
"""By section and name; None for what is gone."""

MATCHES = 10
"""Routes whose matches are shown before calls have a turn: 1 ms."""

SLICE = 100
"""Parts that are looked at before calls have a turn: 0.3 ms."""

OPEN = "circuit_open"
"""Why a target is not tried that does not rest."""


async def matches(runtime: Runtime, hidden: frozenset[Place]) -> dict[str, Json]:
    """What each route takes; a header's value may be a secret."""
    shown = {}
    async for some in in_turns(runtime.resolved.routes, MATCHES):
        for route in some:
            shown[route.name] = shown_match(route, hidden)
    return shown


async def anatomy(runtime: Runtime, hidden: frozenset[Place]) -> Json:
    """What of `state` changes with the configuration alone."""
    matched = await matches(runtime, hidden)
    routes = [
        {
            "name": route.name,
            "match": matched[route.name],
            "chain": [target.name for target in route.targets],
            "weights": None if route.weights is None else list(route.weights),
            "limit": None if route.limit is None else f"route {route.name}",
        }
        for route in runtime.routes
    ]
    models = [{"name": name, "chain": [target.name for target in chain]} for name, chain in _chains(runtime).items()]
    upstreams = [
        {"name": name, "protocol": one.settings.protocol, "urls": [without_userinfo(url) for url in one.urls]}
        for name, one in runtime.resolved.upstreams.items()
    ]
    return {"routes": routes, "models": models, "upstreams": upstreams}


def _chains(runtime: Runtime) -> Mapping[str, Sequence[Target]]:
    """Those of `[models]`: the same by each route that leads to LLM providers."""
    return next((route.llm.chains for route in runtime.routes if route.llm is not None), {})


class Vitals:
    """What has changed since the last look. `known` is all of it, as it was told last."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._runtime: Runtime | None = None
        self._targets: list[tuple[str, list[Target]]] = []
        self.targets_of: dict[tuple[str, str], str] = {}
        """By route and service the target's name, where no target is called as the service is."""
        self.models: frozenset[str] = frozenset()
        """Those that the policy file has a chain for."""
        self.known: dict[str, dict[str, Json]] = {}

    async def look(self, runtime: Runtime) -> Looked:
        if runtime is not self._runtime:
            await self._follow(runtime)
        now = {
            "targets": await self._look_at_targets(),
            "breakers": await _looked_at(runtime.parts.of("breaker"), lambda breaker: breaker.snapshot()),
            "limits": await _looked_at(runtime.parts.of("limit"), lambda limit: limit.snapshot()),
            "upstreams": await self._look_at_upstreams(runtime),
        }
        changed = {section: _changes(self.known.get(section, {}), there) for section, there in now.items()}
        self.known = now
        return changed

    async def _follow(self, runtime: Runtime) -> None:
        """Another configuration: which targets there are."""
        targets: dict[str, list[Target]] = {}
        targets_of: dict[tuple[str, str], str] = {}
        async for some in in_turns(runtime.routes, SLICE):
            for route in some:
                everywhere = route.everywhere()
                named = {target.name for target in everywhere}
                for target in everywhere:
                    targets.setdefault(target.name, []).append(target)
                    if target.service.name not in named:
                        targets_of[route.name, target.service.name] = target.name
        self._runtime, self._targets, self.targets_of = runtime, list(targets.items()), targets_of
        self.models = frozenset(_chains(runtime))

    async def _look_at_targets(self) -> dict[str, Json]:
        shown, now = {}, self._clock()
        async for some in in_turns(self._targets, SLICE):
            for name, targets in some:
                shown[name] = _target(targets, now)
        return shown

    async def _look_at_upstreams(self, runtime: Runtime) -> dict[str, Json]:
        upstreams = runtime.resolved.upstreams
        shown = await _looked_at(runtime.parts.of("grpc"), lambda client: {"channels": client.states()})

        async for some in in_turns(list(runtime.parts.of("http")), SLICE):
            for name, service in some:
                stats = [pool.stats() for pool in service.pools]
                shown[name] = {
                    "idle": sum(each.idle for each in stats),
                    "active": sum(each.active for each in stats),
                    "connecting": sum(each.connecting for each in stats),
                    "waiting": sum(each.waiting for each in stats),
                    "max": upstreams[name].pool.max * len(stats) if name in upstreams else 0,
                }
        return shown


async def _looked_at(parts: Iterable[tuple[str, Any]], numbers: Callable[[Any], Json]) -> dict[str, Json]:
    shown = {}
    async for some in in_turns(list(parts), SLICE):
        for name, part in some:
            shown[name] = numbers(part)
    return shown


def _changes(before: Mapping[str, Json], now: Mapping[str, Json]) -> dict[str, Json | None]:
    changes: dict[str, Json | None] = {name: numbers for name, numbers in now.items() if numbers != before.get(name)}
    changes.update(dict.fromkeys(before.keys() - now.keys()))
    return changes


def _target(targets: Sequence[Target], now: float) -> Json:
    """A target as all routes that lead there have it. By each it rests apart: the longest is told."""
    rest = max((target.rest for target in targets), key=lambda rest: rest.until)
    left = rest.left(now)
    if left:
        return {"ready": False, "rests": round(left, 3), "why": rest.cause}
    if any(target.static or target.would_admit(now) for target in targets):
        return {"ready": True, "rests": 0, "why": None}
    return {"ready": False, "rests": 0, "why": OPEN}


def without_userinfo(url: str) -> str:
    """A URL as it may be shown."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}" if separator else url
