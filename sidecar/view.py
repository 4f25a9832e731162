"""The process as its admin listener sees it: plain JSON of what runs now."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sidecar import __version__
from sidecar.access import is_loopback
from sidecar.admin.view import Access
from sidecar.config import redacted
from sidecar.config.listeners import LISTENERS
from sidecar.described import described
from sidecar.explaining import Explainer
from sidecar.live import Live
from sidecar.telemetry import process_log
from sidecar.vitals import matches, without_userinfo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sidecar.call import Call
    from sidecar.config import Loaded
    from sidecar.engine.route import Target
    from sidecar.policy.breaker import Breaker
    from sidecar.runtime import Runtime, Switch
    from sidecar.telemetry.events import Events, Listening
    from sidecar.telemetry.observers import Telemetry

Json = dict[str, Any]


@dataclass(eq=False)
class View:
    """Implements `admin.view.AdminView`. `reload_file` reads the policy file again and tells the difference."""

    switch: Switch
    telemetry: Telemetry
    loaded: Loaded
    clock: Callable[[], float]
    reload_file: Callable[[], Awaitable[Json]]
    draining: bool = False
    stale: str = ""
    """Why the file on disk is not what is live; empty when it is."""
    addresses: dict[str, str] = field(default_factory=dict)
    """Listener to the address where it really listens."""
    configured: bool = True
    went_live: asyncio.Condition = field(default_factory=asyncio.Condition)
    """Told when another configuration is live."""
    last_reload: Json | None = None
    """When it was (`at`, Unix time), its `result`, and the `difference` or the `mistakes`."""
    wall: Callable[[], float] = time.time
    live: Live = field(init=False)

    def __post_init__(self) -> None:
        self.live = Live(self, self.wall)
        self._access: tuple[int, str, Access] | None = None

    @property
    def runtime(self) -> Runtime:
        return self.switch.runtime

    @property
    def version(self) -> str:
        return __version__

    @property
    def events(self) -> Events:
        return self.telemetry.events

    @property
    def servable(self) -> bool:
        now = self.clock()
        routes = self.runtime.routes
        return not routes or any(
            target.static or target.would_admit(now) for route in routes for target in route.everywhere()
        )

    def reloaded(self, result: str, **what: object) -> None:
        """A reload has ended, and those who watch are told."""
        self.last_reload = {"at": round(self.wall(), 3), "result": result, **what}
        self.live.changed()

    def access(self) -> Access:
        runtime = self.runtime
        settings = runtime.settings
        generation, address = runtime.engine.generation, self.addresses.get("admin", settings.listen.admin)
        known = self._access
        # Each frame of a stream asks for it. By number: the runtime itself would live on until somebody asks again.
        if known is None or known[:2] != (generation, address):
            hosts, origins = allowed_hosts(runtime), allowed_origins(runtime)
            known = self._access = generation, address, Access.at(address, settings.admin.token, hosts, origins)
        return known[2]

    def checks(self) -> Mapping[str, str]:
        checks = {"config": f"stale: {self.stale}" if self.stale else "ok"}
        for name, breaker in self.runtime.breakers().items():
            checks[f"circuit_breaker {name}"] = "open" if breaker.state == "open" else "ok"
        for target, left in self._resting():
            checks[f"target {target.service.name}"] = f"rests for {left:.0f} s: {target.rest.cause}"
        for name, store in self.runtime.parts.of("store"):
            checks[name] = store.state
        if self.runtime.news is not None:
            checks["breaker_news"] = self.runtime.news.state
        exposed = exposure(self.runtime)
        if exposed:
            checks["exposure"] = exposed
        return checks

    def _resting(self) -> list[tuple[Target, float]]:
        """Those that rest now, and for how many seconds. By each route a target rests apart: the longest is told."""
        now = self.clock()
        longest: dict[str, tuple[Target, float]] = {}
        for route in self.runtime.routes:
            for target in route.everywhere():
                left, name = target.rest.left(now), target.service.name
                if left > (longest[name][1] if name in longest else 0.0):
                    longest[name] = target, left
        return list(longest.values())

    def metrics(self, accept: str) -> tuple[str, bytes]:
        return self.telemetry.metrics.exposition(accept)

    def circuit_breakers(self) -> Mapping[str, Json]:
        return {name: breaker.snapshot() for name, breaker in self.runtime.breakers().items()}

    def open_breaker(self, name: str) -> Json:
        breaker = self._breaker(name)
        breaker.force_open()
        return breaker.snapshot()

    def reset_breaker(self, name: str) -> Json:
        breaker = self._breaker(name)
        breaker.reset()
        return breaker.snapshot()

    def _breaker(self, name: str) -> Breaker:
        return self.runtime.breakers()[name]

    async def routes(self) -> Json:
        runtime = self.runtime
        matched = await matches(runtime, self.loaded.secrets)
        now = self.clock()
        return {
            route.name: {
                "match": matched[route.name],
                "chain": _chain(route.targets, now),
                "weights": None if route.weights is None else list(route.weights),
                "deadline": resolved.deadline or None,
                "idempotent": route.idempotent,
            }
            for route, resolved in zip(runtime.routes, runtime.resolved.routes, strict=True)
        }

    def models(self) -> Json:
        """The chains of `[models]`; they are the same by each route that leads to LLM providers."""
        now = self.clock()
        for route in self.runtime.routes:
            if route.llm is not None:
                return {name: {"chain": _chain(targets, now)} for name, targets in route.llm.chains.items()}
        return {}

    def upstreams(self) -> Json:
        services, breakers = self.runtime.services(), self.runtime.breakers()
        channels = dict(self.runtime.parts.of("grpc"))
        addresses: dict[str, Any] = dict(self.runtime.parts.of("addresses"))
        of_models: dict[str, dict[str, str]] = {}
        for key, one in breakers.items():
            owner, slash, _ = key.partition("/")
            if slash:
                of_models.setdefault(owner, {})[key] = one.state
        resting: dict[str, dict[str, float]] = {}
        for target, left in self._resting():
            resting.setdefault(target.upstream, {})[target.service.name] = round(left, 3)
        shown: Json = {}
        for name, upstream in self.runtime.resolved.upstreams.items():
            service, breaker = services.get(name), breakers.get(name)
            shown[name] = {
                "protocol": upstream.settings.protocol,
                "urls": [without_userinfo(url) for url in upstream.urls],
                "circuit_breaker": of_models.get(name) or (None if breaker is None else breaker.state),
                "resting": resting.get(name, {}),
                "connections": [asdict(pool.stats()) for pool in service.pools] if service is not None else [],
                "channels": channels[name].states() if name in channels else [],
                "addresses": addresses[name].snapshot() if name in addresses else [],
            }
        return shown

    def rate_limits(self) -> Json:
        return {name: limit.snapshot() for name, limit in self.runtime.parts.of("limit")}

    def listeners(self) -> Json:
        return {name: self.addresses[name] for name in LISTENERS if name in self.addresses}

    async def config(self) -> Json:
        loaded = self.loaded
        told = {"generation": self.runtime.engine.generation, "hash": loaded.hash, "file": str(loaded.path)}
        # 1,000 routes take half a second, in which calls go on.
        return {**told, "config": await asyncio.to_thread(redacted, loaded)}

    async def wait_config(self, wanted: str, timeout: float) -> bool:  # noqa: ASYNC109 - the caller's own wish
        try:
            async with asyncio.timeout(timeout), self.went_live:
                await self.went_live.wait_for(lambda: self.loaded.hash == wanted)
        except TimeoutError:
            return False
        return True

    def timeline(self, request_id: str) -> Json | None:
        return self.telemetry.timeline.find(request_id)

    def newest_calls(self, most: int) -> list[Json]:
        return [call.short() for call in self.telemetry.timeline.newest(most)]

    def listen(self) -> Listening | None:
        return self.live.listen()

    def explain(self, method: str, url: str, headers: Sequence[tuple[str, str]], model: str) -> Json:
        """By what is live, and how its targets are now. Raises `InvalidRequest`."""
        runtime = self.runtime
        call = described(method, url, headers, runtime.settings)
        told = Explainer(self.loaded, runtime.resolved, runtime.engine.table.match).explain(call, model)
        now = self.clock()
        there = {
            (target.name, target.service.breaker.name if target.service.breaker is not None else None): target
            for route in runtime.routes
            if route.name == call.route
            for target in route.everywhere()
        }
        for target in told["targets"]:
            target["now"] = _state(there[target["target"], target.get("breaker")], call, now)
        return {"generation": runtime.engine.generation, "hash": self.loaded.hash, **told}

    async def reload(self) -> Json:
        return await self.reload_file()

    def set_log_level(self, level: str) -> None:
        process_log.set_level(level)


def _chain(targets: Sequence[Target], now: float) -> list[Json]:
    return [{"target": target.name, "ready": target.static or target.would_admit(now)} for target in targets]


def _state(target: Target, call: Call, now: float) -> Json:
    """How a target is for this call."""
    left, cause = target.rests(call, now)
    breaker = target.service.breaker
    return {
        "ready": target.static or target.would_take(call, now),
        "circuit_breaker": None if breaker is None else breaker.state,
        "rests": round(max(left, 0.0), 3),
        "why": cause if left > 0 else None,
    }


def allowed_hosts(runtime: Runtime) -> frozenset[bytes]:
    """`listen.hosts` and the hosts that routes name, lower case."""
    named = {host.lower().encode() for host in runtime.settings.listen.hosts}
    return frozenset(named | {route.host for route in runtime.routes if route.host})


def allowed_origins(runtime: Runtime) -> frozenset[bytes]:
    return frozenset(origin.lower().encode() for origin in runtime.settings.listen.origins)


def exposure(runtime: Runtime) -> str:
    """What is wrong with callers from the network reaching upstreams with a credential of ours; empty when nothing."""
    listen = runtime.settings.listen
    doors = ((listen.http, listen.http_tls), (listen.grpc, listen.grpc_tls))
    private = any(upstream.private for upstream in runtime.clients())
    for address, tls in doors:
        guarded = listen.http_token or (tls is not None and tls.client_ca)
        if private and address and not is_loopback(address) and not guarded:
            return (
                f"{address} is not loopback, a credential is injected, and neither http_token nor client_ca guards it"
            )
    return ""
