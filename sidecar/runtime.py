"""From settings to the object graph that serves calls.

All work that can be done once is done here (rule 11): the route table compiled,
observers bound, request heads prepared. A runtime is built whole and swapped in
by one assignment; calls in flight finish on the one they began with.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sidecar.call import Wire
from sidecar.config.resolve import resolve
from sidecar.dialects.refusal import body_of
from sidecar.engine.exchange import Engine
from sidecar.engine.route_table import RouteTable
from sidecar.extras import load
from sidecar.methods import Methods
from sidecar.parts import Parts
from sidecar.services import Services
from sidecar.settings import ConcurrencySettings
from sidecar.stores.news import BreakerNews
from sidecar.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sidecar.call import Call
    from sidecar.config.resolve import Resolved
    from sidecar.engine.exchange import Exchange
    from sidecar.engine.route import Route
    from sidecar.errors import Refused
    from sidecar.policy.breaker import Breaker
    from sidecar.policy.concurrency import Concurrency
    from sidecar.policy.rest import Rest
    from sidecar.settings import Settings
    from sidecar.stores.news import Guard
    from sidecar.stores.news_wire import NewsWire
    from sidecar.surroundings import Surroundings
    from sidecar.upstreams.c_gateway import CGatewayUpstream
    from sidecar.upstreams.grpc import GrpcUpstream
    from sidecar.upstreams.http import HttpUpstream
    from sidecar.wiring import HttpService

NO_FILES: Mapping[str, str] = MappingProxyType({})

TURN = 10
"""Routes that are compiled before calls have a turn: a reload of 1,000 routes takes 0.3 s, none of them 5 ms."""

UNHEALTHY = "unhealthy"
"""Why a target rests whose active check fails."""


@runtime_checkable
class Closing(Protocol):
    """A part that is to be closed when nothing asks for it any more."""

    async def aclose(self) -> None: ...


class Runtime:
    """One configuration, running."""

    news: NewsWire | None = None
    """Where breakers are shared with other sidecars."""
    guards: Mapping[str, Guard] = MappingProxyType({})

    def __init__(
        self,
        settings: Settings,
        resolved: Resolved,
        engine: Engine,
        parts: Parts,
        methods: Methods,
        rests: Mapping[str, Sequence[Rest]],
        limits: Mapping[Concurrency, ConcurrencySettings],
    ) -> None:
        self.settings = settings
        self.resolved = resolved
        self.engine = engine
        self.parts = parts
        self.methods = methods
        self._rests = rests
        self._limits = limits

    def begin(self) -> None:
        """What its parts do by themselves tells this runtime from now on (health checks, reflection), and limits that
        count calls under way are as it has them.
        """
        for limit, settings in self._limits.items():
            limit.become(settings)
        if self.news is not None:
            self.news.follow(self.guards)
        for _, store in self.parts.of("store"):
            store.begin()
        for name, service in self.services().items():
            if service.check is not None:
                service.check.start(self._judge(self._rests.get(name, ())))
        for _, client in self.parts.of("grpc"):
            if client.reflection is not None:
                client.reflection.start(self.methods.learn)

    def _judge(self, rests: Sequence[Rest]) -> Callable[[float], None]:
        """What a health check's verdict does: all targets of the upstream rest, or go on."""
        clock = self.engine.clock

        def judged(seconds: float) -> None:
            for rest in rests:
                if seconds:
                    rest.rest(clock() + seconds, UNHEALTHY)
                else:
                    rest.clear(UNHEALTHY)

        return judged

    @property
    def routes(self) -> tuple[Route, ...]:
        return self.engine.table.routes

    def breakers(self) -> dict[str, Breaker]:
        return dict(self.parts.of("breaker"))

    def services(self) -> dict[str, HttpService]:
        return dict(self.parts.of("http"))

    def clients(self) -> list[HttpUpstream | CGatewayUpstream | GrpcUpstream]:
        """What sends to upstreams, whatever it speaks."""
        return [*(service.upstream for service in self.services().values()), *(one for _, one in self.parts.of("grpc"))]

    async def discard(self) -> None:
        """It is not to be: what was made for it alone is closed."""
        await _close(self.parts.made())

    async def aclose(self) -> None:
        """Close everything; calls in flight are cut."""
        for service in self.services().values():
            await service.aclose()
            service.cut()
        for _, upstream in self.parts.of("grpc"):
            await upstream.aclose()
        for _, store in self.parts.of("store"):
            await store.aclose()
        if self.news is not None:
            await self.news.aclose()


class Switch:
    """Holds the runtime that new calls go to; all that listeners know."""

    __slots__ = ("runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def exchange(self, call: Call) -> Exchange:
        return self.runtime.engine.exchange(call)


async def build(
    settings: Settings, around: Surroundings, before: Runtime | None = None, files: Mapping[str, str] = NO_FILES
) -> Runtime:
    """A whole new runtime, which does nothing of itself until it is told to `begin`.

    Parts with equal settings are those of `before`; `files` are the digests of files that settings name, so that a
    renewed certificate makes another client. If building fails the new parts are closed. Raises `OSError` or
    `ssl.SSLError` for certificates that cannot be used.
    """
    parts = Parts(before.parts if before is not None else None)
    try:
        resolved = await asyncio.to_thread(resolve, settings)
        return await _Builder(settings, resolved, around, parts, files).build(
            1 if before is None else before.engine.generation + 1
        )
    except BaseException:
        await _close(parts.made())
        raise


async def _close(parts: Iterable[object]) -> None:
    for part in parts:
        if isinstance(part, Closing):
            await part.aclose()


class _Builder:
    def __init__(
        self, settings: Settings, resolved: Resolved, around: Surroundings, parts: Parts, files: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._around = around
        self._parts = parts
        self._resolved = resolved
        self._services = Services(settings, self._resolved, around, parts, files)
        self._targets = Targets(settings, self._resolved, around, parts, self._services)

    async def build(self, generation: int) -> Runtime:
        around, settings = self._around, self._settings
        routes = []
        for route in self._resolved.routes:
            routes.append(self._targets.route(route))
            if len(routes) % TURN == 0:
                await asyncio.sleep(0)
        most = settings.limits.max_inflight
        inflight = None
        if most:
            inflight = self._services.slots("inflight", "", ConcurrencySettings(max=most))
        unrouted = around.telemetry.unrouted
        engine = Engine(RouteTable(routes), generation, around.clock, around.rng, unrouted, inflight, size_of=_size_of)
        patterns = [pattern for upstream in settings.upstreams.values() for pattern in upstream.unary]
        methods, limits = Methods(patterns), self._services.limits
        runtime = Runtime(settings, self._resolved, engine, self._parts, methods, self._targets.rests, limits)
        runtime.guards = self._services.guards
        if settings.redis.share_breakers:
            runtime.news = self._parts.get("news", "", settings.redis.url, self._news)
        return runtime

    def _news(self) -> NewsWire:
        around = self._around
        news = BreakerNews(around.sender, around.clock, around.telemetry)
        wire: NewsWire = load("sidecar.stores.news_wire").NewsWire(self._settings.redis, news, around.rng)
        return wire


def _size_of(refusal: Refused, call: Call) -> int:
    return 0 if call.wire is Wire.GRPC else len(body_of(refusal, call))
