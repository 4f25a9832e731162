"""From settings to the object graph that serves calls.

All work that can be done once is done here (rule 11): the route table compiled,
observers bound, request heads prepared. A runtime is built whole and swapped in
by one assignment; calls in flight finish on the one they began with.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.call import NO_DEADLINE, Wire
from sidecar.config.carriage import GRPC
from sidecar.config.resolve import resolve
from sidecar.dialects import beamline
from sidecar.dialects.decide_answer import lifted
from sidecar.dialects.refusal import body_of
from sidecar.engine.exchange import Engine
from sidecar.engine.route import Limit, Route, Service, Target, key_function
from sidecar.engine.route_table import RouteTable
from sidecar.methods import Methods
from sidecar.parts import Parts
from sidecar.policy.breaker import Breaker
from sidecar.policy.budget import RetryBudget
from sidecar.policy.classify import Rules
from sidecar.policy.concurrency import Concurrency
from sidecar.policy.limiter import RateLimit
from sidecar.policy.outlier import Addresses
from sidecar.policy.rest import Rest
from sidecar.settings import CircuitBreakerSettings, ConcurrencySettings
from sidecar.upstreams.static import StaticUpstream
from sidecar.upstreams.transcode import LONGEST_REQUEST, GatewayDecides, RouterDecides, gateway_carries, router_carries
from sidecar.wiring import HttpService, http_service, identity
from sidecar.wiring_grpc import grpc_identity, grpc_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidecar.call import Call, Upstream
    from sidecar.config.resolve import Resolved, ResolvedRoute, ResolvedTarget, ResolvedUpstream
    from sidecar.engine.exchange import Exchange
    from sidecar.errors import Refused
    from sidecar.settings import RateLimitSettings, RetrySettings, Settings, StaticSettings
    from sidecar.telemetry.observers import Telemetry
    from sidecar.upstreams.c_gateway import CGatewayUpstream
    from sidecar.upstreams.grpc import GrpcUpstream
    from sidecar.upstreams.http import HttpUpstream

CARRIES: dict[str, Callable[[Call], bool]] = {"c-gateway": gateway_carries, "router": router_carries}
"""Protocols whose targets carry only some of the calls that may come by a route."""

UNHEALTHY = "unhealthy"
"""Why a target rests whose active check fails."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a runtime is given besides its settings. `clock` is the loop's, in seconds."""

    telemetry: Telemetry
    environ: Mapping[str, str]
    via: bytes
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    rng: Callable[[], float] = random.random


class Runtime:
    """One configuration, running."""

    def __init__(self, settings: Settings, resolved: Resolved, engine: Engine, parts: Parts, methods: Methods) -> None:
        self.settings = settings
        self.resolved = resolved
        self.engine = engine
        self.parts = parts
        self.methods = methods

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

    async def aclose(self) -> None:
        """Close everything; calls in flight are cut."""
        for service in self.services().values():
            await service.aclose()
            service.cut()
        for _, upstream in self.parts.of("grpc"):
            await upstream.aclose()


class Switch:
    """Holds the runtime that new calls go to; all that listeners know."""

    __slots__ = ("runtime",)

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def exchange(self, call: Call) -> Exchange:
        return self.runtime.engine.exchange(call)


async def build(settings: Settings, around: Surroundings, before: Runtime | None = None) -> Runtime:
    """A whole new runtime. Parts with equal settings are those of `before`; if building fails the new ones are closed.

    Raises `OSError` or `ssl.SSLError` for certificates that cannot be used.
    """
    parts = Parts(before.parts if before is not None else None)
    try:
        return _Builder(settings, around, parts).build(1 if before is None else before.engine.generation + 1)
    except BaseException:
        for part in parts.made():
            if hasattr(part, "aclose"):
                await part.aclose()
        raise


class _Builder:
    def __init__(self, settings: Settings, around: Surroundings, parts: Parts) -> None:
        self._settings = settings
        self._around = around
        self._parts = parts
        self._resolved = resolve(settings)
        self._rests: dict[str, list[Rest]] = {}
        self._services: dict[str, Service] = {}

    def build(self, generation: int) -> Runtime:
        around, settings = self._around, self._settings
        routes = [self._route(route) for route in self._resolved.routes]
        most = settings.limits.max_inflight
        inflight = None
        if most:
            inflight = self._parts.get("inflight", "", most, lambda: Concurrency(ConcurrencySettings(max=most)))
        unrouted = around.telemetry.unrouted
        engine = Engine(RouteTable(routes), generation, around.clock, around.rng, unrouted, inflight, size_of=_size_of)
        for name, service in self._parts.of("http"):
            if service.check is not None:
                service.check.start(self._judge(self._rests.get(name, [])))
        patterns = [pattern for upstream in settings.upstreams.values() for pattern in upstream.unary]
        methods = Methods(patterns)
        for _, client in self._parts.of("grpc"):
            if client.reflection is not None:
                client.reflection.start(methods.learn)
        return Runtime(settings, self._resolved, engine, self._parts, methods)

    def _judge(self, rests: list[Rest]) -> Callable[[float], None]:
        """What a health check's verdict does: all targets of the upstream rest, or go on."""
        clock = self._around.clock

        def judged(seconds: float) -> None:
            for rest in rests:
                if seconds:
                    rest.rest(clock() + seconds, UNHEALTHY)
                else:
                    rest.clear(UNHEALTHY)

        return judged

    def _service(self, upstream: ResolvedUpstream) -> Service:
        name = upstream.name
        if name in self._services:
            return self._services[name]
        around, parts = self._around, self._parts
        client = self._client(upstream)
        breaker = None
        if (circuit := upstream.circuit_breaker) is not None:
            listeners = (around.telemetry.breaker_moved,)
            breaker = parts.get("breaker", name, circuit, lambda: Breaker(name, circuit, around.clock, listeners))
        addresses = None
        if len(upstream.urls) > 1:
            addresses = parts.get(
                "addresses", name, upstream.urls, lambda: Addresses(len(upstream.urls), around.clock, around.rng)
            )
        service = Service(name, client, breaker, addresses=addresses)
        service.limit = self._limit(f"upstream {name}", upstream.rate_limit)
        service.concurrency = self._concurrency(f"upstream {name}", upstream.concurrency)
        self._services[name] = service
        return service

    def _client(self, upstream: ResolvedUpstream) -> Upstream:
        """What sends to it, by its protocol."""
        name, around, parts, limits = upstream.name, self._around, self._parts, self._settings.limits
        if upstream.settings.protocol in GRPC:
            most = limits.max_body_bytes or limits.max_held_bytes
            client = parts.get(
                "grpc",
                name,
                grpc_identity(upstream, most, limits.max_header_bytes),
                lambda: grpc_upstream(
                    upstream, around.via, around.clock, max_message=most, max_metadata=limits.max_header_bytes
                ),
            )
            if upstream.settings.protocol == "grpc":
                return client
            held = limits.max_held_bytes
            tenant = _tenant(upstream) or self._gateways_tenant()
            return RouterDecides(client, max_held=held, wall=around.wall, tenant=tenant)
        http = parts.get(
            "http", name, identity(upstream), lambda: http_service(upstream, around.environ, around.via, around.wall)
        )
        if upstream.settings.protocol == "c-gateway":
            return GatewayDecides(http.upstream, tenant=_tenant(upstream))
        return http.upstream

    def _gateways_tenant(self) -> str:
        """Whom c-gateway serves where a caller names no tenant, so that the Router in its stead does, too."""
        gateways = (one for one in self._resolved.upstreams.values() if one.settings.protocol == "c-gateway")
        return next(filter(None, map(_tenant, gateways)), "")

    def _limit(self, name: str, settings: RateLimitSettings | None) -> Limit | None:
        if settings is None:
            return None
        bucket = self._parts.get("limit", name, settings, lambda: self._bucket(name, settings))
        return Limit(bucket, key_function(settings.key), settings.max_wait)

    def _bucket(self, name: str, settings: RateLimitSettings) -> RateLimit:
        """A changed limit keeps the share of its level: a reload is never a way to a full bucket (rule 10)."""
        bucket = RateLimit(settings, self._around.clock)
        before: RateLimit | None = self._parts.named_before("limit", name)
        if before is not None:
            bucket.adopt(before)
        return bucket

    def _concurrency(self, name: str, settings: ConcurrencySettings | None) -> Concurrency | None:
        if settings is None:
            return None
        return self._parts.get("concurrency", name, settings, lambda: Concurrency(settings))

    def _target(self, route: ResolvedRoute, link: ResolvedTarget) -> Target:
        parts, around, retry = self._parts, self._around, link.retry
        if link.static:
            service = self._static(link.upstream)
            name, protocol, failure_statuses, attempt = f"static/{link.upstream}", "http", frozenset[int](), 0.0
        else:
            upstream = self._resolved.upstreams[link.upstream]
            service = self._service(upstream)
            name, protocol, attempt = link.upstream, upstream.settings.protocol, upstream.timeout.attempt
            # Without a breaker the addresses still hear what is a failure.
            circuit = upstream.circuit_breaker or CircuitBreakerSettings()
            failure_statuses = frozenset(circuit.failure_statuses)
        rest = parts.get("rest", f"{route.name}/{name}", None, Rest)
        self._rests.setdefault(name, []).append(rest)
        shares = (retry.budget, retry.budget_min_per_second)
        # Of HTTP the Router takes decides only, and a decide may be repeated.
        idempotent = route.idempotent or (protocol == "router" and not route.match.grpc)
        return Target(
            name=name,
            service=service,
            rest=rest,
            budget=parts.get("budget", name, shares, lambda: RetryBudget(*shares, around.clock)),
            retry=retry,
            rules=_rules(protocol, retry, failure_statuses, idempotent=idempotent),
            observer=around.telemetry.target(route.name, name),
            attempt_timeout=attempt,
            static=link.static,
            carries=CARRIES.get(protocol),
            collects=LONGEST_REQUEST if protocol == "c-gateway" else 0,
        )

    def _idempotent_paths(self, route: ResolvedRoute) -> frozenset[bytes]:
        """What the Router's protocol knows to be safe to send twice."""
        upstreams = (self._resolved.upstreams[link.upstream] for link in route.targets if not link.static)
        known = any(upstream.settings.protocol in CARRIES for upstream in upstreams)
        return beamline.IDEMPOTENT if route.match.grpc and known else frozenset()

    def _static(self, name: str) -> Service:
        settings: StaticSettings = self._settings.static[name]
        headers = tuple((key.encode("latin-1"), value.encode("latin-1")) for key, value in settings.headers.items())
        upstream = StaticUpstream(
            settings.status,
            headers,
            settings.body.encode(),
            settings.grpc_code,
            settings.grpc_message,
            decision=lifted(settings.body.encode()) if settings.decides else None,
        )
        return Service(f"static/{name}", upstream)

    def _route(self, route: ResolvedRoute) -> Route:
        match, limits, key = route.match, route.limits, "global"
        if route.rate_limit is not None:
            key = route.rate_limit.key
        slots, most = route.concurrency, limits.max_inflight
        if most:  # both may be set: the smaller counts
            slots = slots or ConcurrencySettings(max=most)
            slots = slots.model_copy(update={"max": min(slots.max, most)})
        concurrency = self._concurrency(f"route {route.name}", slots)
        own_limits = limits.model_fields_set
        return Route(
            name=route.name,
            targets=tuple(self._target(route, link) for link in route.targets),
            observer=self._around.telemetry.route(route.name, key),
            deadline=route.deadline or NO_DEADLINE,
            idempotent=route.idempotent,
            idempotent_paths=self._idempotent_paths(route),
            weights=None if route.weights is None else tuple(float(weight) for weight in route.weights),
            limit=self._limit(f"route {route.name}", route.rate_limit),
            concurrency=concurrency,
            replay_buffer=max(link.retry.replay_buffer for link in route.targets),
            max_body_bytes=limits.max_body_bytes,
            max_headers=limits.max_headers if "max_headers" in own_limits else 0,
            max_header_bytes=limits.max_header_bytes if "max_header_bytes" in own_limits else 0,
            host=(match.host or "").lower().encode(),
            grpc=(match.grpc or "").encode(),
            path=(match.path or "/*").encode(),
            methods=frozenset(method.encode() for method in match.methods),
            headers=tuple((name.lower().encode(), value.encode()) for name, value in match.headers.items()),
            strip=route.strip.encode(),
            rewrite=route.rewrite.encode(),
        )


def _tenant(upstream: ResolvedUpstream) -> str:
    """Whom the file names as `X-Tenant-ID` for callers that name none."""
    own = upstream.settings
    told = {name.lower(): value for name, value in (*own.default_headers.items(), *own.headers.items()) if value}
    return told.get("x-tenant-id", "")


def _size_of(refusal: Refused, call: Call) -> int:
    return 0 if call.wire is Wire.GRPC else len(body_of(refusal, call))


def _rules(protocol: str, retry: RetrySettings, failure_statuses: frozenset[int], *, idempotent: bool) -> Rules:
    return Rules(
        protocol=protocol,
        idempotent=idempotent,
        statuses=frozenset(retry.statuses),
        failure_statuses=failure_statuses,
        patience=retry.patience,
        max_retry_after=retry.max_retry_after,
        max_rest=retry.max_rest,
        grpc_codes=frozenset(retry.grpc_codes),
    )
