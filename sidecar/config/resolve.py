"""What wins: from the tables of the file to the values that one route and one upstream have.

A key has the value of the strongest layer that sets it: the route's or upstream's
own table, its policy, `policies.default`; then the protocol's value, then the
built-in one. It is done once, at build time. Layers know where in the file they
stand, so that `origin` can tell where a value came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from sidecar.settings import (
    CircuitBreakerSettings,
    ConcurrencySettings,
    PolicySettings,
    PoolSettings,
    RateLimitSettings,
    RetrySettings,
    RouteLimitsSettings,
    RouteSettings,
    TimeoutSettings,
)
from sidecar.settings.protocols import PRESETS, PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.settings import (
        Frozen,
        HealthSettings,
        MatchSettings,
        ModelTargetSettings,
        Protocol,
        Settings,
        UpstreamSettings,
    )

    T = TypeVar("T", bound=Frozen)

STATIC = "static/"


@dataclass(frozen=True, slots=True)
class Layer:
    """One table that may set a key, and where it stands in the file."""

    where: tuple[str, ...]
    table: Frozen

    def sets(self, key: str) -> bool:
        return key in self.table.model_fields_set


@dataclass(frozen=True, slots=True)
class ResolvedUpstream:
    """An upstream with every value decided. A table that is None is off."""

    name: str
    settings: UpstreamSettings
    """As in the file, with the protocol's `reuse`, `finish` and `via` where it says nothing."""
    urls: tuple[str, ...]
    timeout: TimeoutSettings
    """Its `model_fields_set` says whether the file sets `first_token`, which then always holds."""
    circuit_breaker: CircuitBreakerSettings | None
    rate_limit: RateLimitSettings | None
    concurrency: ConcurrencySettings | None
    pool: PoolSettings
    health: HealthSettings | None


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """One link of a chain. `static`: `upstream` is the name of a `[static.NAME]`.

    In the chain of a model `model` is what the upstream calls it; `max_tokens` and `prefill` are as in the file.
    """

    upstream: str
    retry: RetrySettings
    static: bool = False
    model: str = ""
    max_tokens: int | None = None
    prefill: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedRoute:
    """A route with every value decided. `deadline` 0 is none; `weights` belong to `targets` one by one.

    `llm`: at least one target is an LLM provider. Then `models` are the chains of `[models]`, by the name that
    callers use.
    """

    name: str
    match: MatchSettings
    targets: tuple[ResolvedTarget, ...]
    weights: tuple[int, ...] | None
    deadline: float
    idempotent: bool
    strip: str
    rewrite: str
    rate_limit: RateLimitSettings | None
    concurrency: ConcurrencySettings | None
    limits: RouteLimitsSettings
    llm: bool = False
    models: Mapping[str, tuple[ResolvedTarget, ...]] = field(default_factory=dict)
    stream: Literal["live", "complete"] = "live"
    on_break: Literal["error", "continue"] = "error"
    translation: Literal["lenient", "strict"] = "lenient"
    fallback_on_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Resolved:
    """All routes and upstreams, in the order of the file."""

    routes: tuple[ResolvedRoute, ...]
    upstreams: dict[str, ResolvedUpstream]


def resolve(settings: Settings) -> Resolved:
    """Every value decided. The names that settings use must be known, as `config.load` makes sure."""
    return Resolved(
        tuple(resolve_route(settings, name) for name in settings.routes),
        {name: resolve_upstream(settings, name) for name in settings.upstreams},
    )


def resolve_upstream(settings: Settings, name: str) -> ResolvedUpstream:
    own = settings.upstreams[name]
    owners = upstream_layers(settings, name)
    mine = owners[0]
    preset = PRESETS[own.protocol]
    timeout = stack("timeout", owners)
    by_protocol = {key: value for key, value in preset.upstream.items() if not mine.sets(key)}
    return ResolvedUpstream(
        name=name,
        settings=own.model_copy(update=by_protocol),
        urls=own.addresses,
        timeout=merge(TimeoutSettings, timeout or (), preset.timeout),
        circuit_breaker=_merge_unless_off(
            CircuitBreakerSettings, stack("circuit_breaker", owners), preset.circuit_breaker
        ),
        rate_limit=_merge_if_any(RateLimitSettings, stack("rate_limit", (mine,)), None),
        concurrency=_merge_if_any(ConcurrencySettings, stack("concurrency", (mine,)), preset.concurrency),
        pool=merge(PoolSettings, stack("pool", (mine,)) or (), preset.pool),
        health=own.health,
    )


def resolve_route(settings: Settings, name: str) -> ResolvedRoute:
    own = settings.routes[name]
    owners = route_layers(settings, name)
    retry = _Retries(stack("retry", owners) or ())
    links = own.chain or tuple(part.upstream for part in own.traffic)
    targets = tuple(_target(settings, link, retry) for link in links)
    llm = any(settings.upstreams[target.upstream].protocol in PROVIDERS for target in targets if not target.static)
    models = {}
    if llm:
        for model, chain in settings.models.items():
            models[model] = tuple(_model_target(settings, link, retry) for link in chain.chain)
    everywhere = (*targets, *(target for chain in models.values() for target in chain))
    return ResolvedRoute(
        name=name,
        match=own.match,
        targets=targets,
        weights=tuple(part.weight for part in own.traffic) or None,
        deadline=_deadline(settings, owners, everywhere),
        idempotent=own.idempotent,
        strip=own.strip,
        rewrite=own.rewrite,
        rate_limit=_merge_if_any(RateLimitSettings, stack("rate_limit", owners), None),
        concurrency=_merge_if_any(ConcurrencySettings, stack("concurrency", owners), None),
        limits=_limits(settings, own),
        llm=llm,
        models=models,
        stream=own.stream,
        on_break=own.on_break,
        translation=own.translation,
        fallback_on_refusal=own.fallback_on_refusal,
    )


def policy_layers(settings: Settings, policy: str) -> tuple[Layer, ...]:
    """A policy and what it starts from, strongest first."""
    names = dict.fromkeys((policy, "default"))
    known = settings.policies
    return tuple(Layer(("policies", name), known.get(name, PolicySettings())) for name in names)


def upstream_layers(settings: Settings, name: str) -> tuple[Layer, ...]:
    """Who may set a key of this upstream, strongest first. Its limits are only its own."""
    own = settings.upstreams[name]
    return (Layer(("upstreams", name), own), *policy_layers(settings, own.policy))


def route_layers(settings: Settings, name: str) -> tuple[Layer, ...]:
    """Who may set a key of this route, strongest first."""
    own = settings.routes[name]
    return (Layer(("routes", name), own), *policy_layers(settings, own.policy))


def stack(key: str, owners: Sequence[Layer]) -> tuple[Layer, ...] | None:
    """The layers of the table `key`, strongest first; None when the strongest that sets it switches it off."""
    setting = [owner for owner in owners if owner.sets(key)]
    tables = [(owner.where, getattr(owner.table, key)) for owner in setting]
    if tables and tables[0][1] is None:
        return None
    return tuple(Layer((*where, key), table) for where, table in tables if table is not None)


def origin(key: str, layers: Sequence[Layer]) -> tuple[str, ...] | None:
    """Where in the file the winning value of `key` stands; None when no layer sets it."""
    return next(((*layer.where, key) for layer in layers if layer.sets(key)), None)


def merge(kind: type[T], layers: Sequence[Layer], values: Mapping[str, object]) -> T:
    """Key by key from the strongest layer; `values` are the protocol's. `model_fields_set` stays what the file set."""
    chosen: dict[str, object] = {}
    for layer in layers:
        for key in layer.table.model_fields_set - chosen.keys():
            chosen[key] = getattr(layer.table, key)
    built: T = kind.model_construct(_fields_set=set(chosen), **{**values, **chosen})  # type: ignore[assignment]  # pydantic's plugin types it for the base class
    return built


def _merge_unless_off(kind: type[T], layers: Sequence[Layer] | None, values: Mapping[str, object]) -> T | None:
    return None if layers is None else merge(kind, layers, values)


def _merge_if_any(kind: type[T], layers: Sequence[Layer] | None, values: Mapping[str, object] | None) -> T | None:
    return None if layers is None or not (layers or values) else merge(kind, layers, values or {})


class _Retries:
    """One route's `retry` by protocol, merged once: its models' chains may have thousands of links."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers
        self._merged: dict[Protocol, RetrySettings] = {}

    def of(self, protocol: Protocol) -> RetrySettings:
        if protocol not in self._merged:
            self._merged[protocol] = merge(RetrySettings, self._layers, PRESETS[protocol].retry)
        return self._merged[protocol]


def _target(settings: Settings, link: str, retry: _Retries) -> ResolvedTarget:
    if link.startswith(STATIC):
        return ResolvedTarget(link.removeprefix(STATIC), retry.of("http"), static=True)
    return ResolvedTarget(link, retry.of(settings.upstreams[link].protocol))


def _model_target(settings: Settings, link: ModelTargetSettings, retry: _Retries) -> ResolvedTarget:
    if link.static:
        return _target(settings, STATIC + link.static, retry)
    target = _target(settings, link.upstream, retry)
    return replace(target, model=link.model, max_tokens=link.max_tokens, prefill=link.prefill)


def _deadline(settings: Settings, owners: Sequence[Layer], targets: Sequence[ResolvedTarget]) -> float:
    """The file's, else the longest of the protocols in its chains; 0 is none, and so the longest of all."""
    for owner in owners:
        if isinstance(owner.table, RouteSettings | PolicySettings) and owner.sets("deadline"):
            return owner.table.deadline
    upstreams = [settings.upstreams[target.upstream] for target in targets if not target.static]
    deadlines = [PRESETS[upstream.protocol].deadline for upstream in upstreams] or [PRESETS["http"].deadline]
    return 0.0 if 0.0 in deadlines else max(deadlines)


def _limits(settings: Settings, own: RouteSettings) -> RouteLimitsSettings:
    """`max_inflight` of `[limits]` counts over all routes, so a route does not take it over."""
    mine = own.limits.model_dump(exclude_unset=True)
    file = settings.limits.model_dump(include=RouteLimitsSettings.model_fields.keys() - {"max_inflight"})
    return RouteLimitsSettings.model_construct(_fields_set=set(mine), **{**file, **mine})
