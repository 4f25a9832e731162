"""Upstreams as settings have them: clients, and what guards them. Each is made once, whoever leads to it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sidecar.config.carriage import GRPC
from sidecar.dialects.decide_answer import lifted
from sidecar.engine.route import Limit, Service, key_function
from sidecar.extras import load
from sidecar.http1.connect import tls_context
from sidecar.policy.breaker import Breaker
from sidecar.policy.concurrency import Concurrency
from sidecar.policy.limiter import RateLimit
from sidecar.policy.outlier import Addresses
from sidecar.stores.news import Guard
from sidecar.stores.news_message import digest_of
from sidecar.telemetry.store_watch import StoreWatch
from sidecar.upstreams.faults import Faulty, compiled
from sidecar.upstreams.llm import LlmUpstream
from sidecar.upstreams.static import StaticUpstream
from sidecar.upstreams.transcode import GatewayDecides, RouterDecides
from sidecar.wiring import http_service, identity
from sidecar.wiring_grpc import grpc_identity, grpc_upstream
from sidecar.wiring_llm import provider_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.call import Upstream
    from sidecar.config.resolve import Resolved, ResolvedUpstream
    from sidecar.parts import Parts
    from sidecar.quota import SharedLimit
    from sidecar.settings import ConcurrencySettings, RateLimitSettings, Settings, StaticSettings
    from sidecar.stores.redis_store import RedisStore
    from sidecar.surroundings import Surroundings
    from sidecar.upstreams.llm_request import Model


class Services:
    """The services of one configuration; parts with equal settings are those of the one before."""

    def __init__(
        self, settings: Settings, resolved: Resolved, around: Surroundings, parts: Parts, files: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._resolved = resolved
        self._around = around
        self._parts = parts
        self._files = files
        # The system's authorities take 15 ms to load, in which no call goes on.
        self._trust = cache(tls_context)
        self._faults = [compiled(name, fault) for name, fault in settings.faults.items()]
        self.limits: dict[Concurrency, ConcurrencySettings] = {}
        """What concurrency limits become when this configuration begins."""
        self.guards: dict[str, Guard] = {}
        """Breakers of which other sidecars may know something."""
        self._services: dict[tuple[str, str, Model | None], Service] = {}

    def get(self, upstream: ResolvedUpstream, scope: str = "", model: Model | None = None) -> Service:
        """`scope`: of an LLM provider the model, as breakers are named; `model` is what its client is to ask for."""
        name = f"{upstream.name}/{scope}" if scope else upstream.name
        key = (upstream.name, scope, model)
        if key in self._services:
            return self._services[key]
        around, parts = self._around, self._parts
        client = self._client(upstream)
        if self._faults:
            client = Faulty(client, self._faults, around.rng, idle=upstream.timeout.idle)
        if model is not None:
            longest = self._settings.limits.max_held_bytes
            provider = provider_of(upstream, around.via.removeprefix(b"1.1 "))
            client = LlmUpstream(client, provider, model, longest=longest, wall=around.wall)
        breaker = None
        if (circuit := upstream.circuit_breaker) is not None:
            listeners = (around.telemetry.breaker_moved,)
            breaker = parts.get("breaker", name, circuit, lambda: Breaker(name, circuit, around.clock, listeners))
            whom = digest_of(upstream.settings.protocol, upstream.urls, around.machine)
            self.guards[name] = Guard(breaker, whom)
        addresses = None
        if len(upstream.urls) > 1:
            addresses = parts.get(
                "addresses",
                upstream.name,
                upstream.urls,
                lambda: Addresses(len(upstream.urls), around.clock, around.rng),
            )
        service = Service(name, client, breaker, addresses=addresses)
        service.limit = self.limit(f"upstream {upstream.name}", upstream.rate_limit)
        service.concurrency = self.concurrency(f"upstream {upstream.name}", upstream.concurrency)
        self._services[key] = service
        return service

    def _client(self, upstream: ResolvedUpstream) -> Upstream:
        """What sends to it, by its protocol."""
        name, around, parts, limits = upstream.name, self._around, self._parts, self._settings.limits
        if upstream.settings.protocol in GRPC:
            most = limits.max_body_bytes or limits.max_held_bytes
            client = parts.get(
                "grpc",
                name,
                (grpc_identity(upstream, most, limits.max_header_bytes), self._certificates(upstream)),
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
            "http",
            name,
            (identity(upstream), self._certificates(upstream)),
            lambda: http_service(upstream, around.environ, around.via, around.wall, self._trust),
        )
        if upstream.settings.protocol == "c-gateway":
            return GatewayDecides(http.upstream, tenant=_tenant(upstream))
        return http.upstream

    def _certificates(self, upstream: ResolvedUpstream) -> tuple[str | None, ...]:
        """What its files hold: with another certificate it is another client."""
        tls = upstream.settings.tls
        return tuple(self._files.get(path) for path in (tls.ca, tls.cert, tls.key))

    def _gateways_tenant(self) -> str:
        """Whom c-gateway serves where a caller names no tenant, so that the Router in its stead does, too."""
        gateways = (one for one in self._resolved.upstreams.values() if one.settings.protocol == "c-gateway")
        return next(filter(None, map(_tenant, gateways)), "")

    def limit(self, name: str, settings: RateLimitSettings | None) -> Limit | None:
        if settings is None:
            return None
        bucket = self._parts.get("limit", name, settings, lambda: self._bucket(name, settings))
        shared = self._shared(name, bucket) if settings.store == "redis" else None
        return Limit(bucket, key_function(settings.key), settings.max_wait, shared)

    def _shared(self, name: str, bucket: RateLimit) -> SharedLimit:
        """What all sidecars count in that have a limit of this name: `route decide`, `upstream openai`."""
        redis, clock, telemetry = self._settings.redis, self._around.clock, self._around.telemetry
        store: RedisStore = self._parts.get(
            "store",
            "redis",
            (redis.url, redis.on_failure),
            lambda: load("sidecar.stores.redis_store").RedisStore(redis, StoreWatch(telemetry, "redis"), clock),
        )
        limit: SharedLimit = load("sidecar.stores.redis_limit").RedisLimit(
            name.replace(" ", ":", 1), bucket, store, clock
        )
        return limit

    def _bucket(self, name: str, settings: RateLimitSettings) -> RateLimit:
        """A changed limit keeps the share of its level: a reload is never a way to a full bucket (rule 10)."""
        bucket = RateLimit(settings, self._around.clock)
        before: RateLimit | None = self._parts.named_before("limit", name)
        if before is not None:
            bucket.adopt(before)
        return bucket

    def concurrency(self, name: str, settings: ConcurrencySettings | None) -> Concurrency | None:
        if settings is None:
            return None
        return self.slots("concurrency", name, settings)

    def slots(self, kind: str, name: str, settings: ConcurrencySettings) -> Concurrency:
        """The same whatever the settings, which it takes over when this configuration begins: calls under way go on
        counting, as c-gateway, say, bears no second connection.
        """
        limit = self._parts.get(kind, name, None, lambda: Concurrency(settings))
        self.limits[limit] = settings
        return limit

    def static(self, name: str) -> Service:
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


def _tenant(upstream: ResolvedUpstream) -> str:
    """Whom the file names as `X-Tenant-ID` for callers that name none."""
    own = upstream.settings
    told = {name.lower(): value for name, value in (*own.default_headers.items(), *own.headers.items()) if value}
    return told.get("x-tenant-id", "")
