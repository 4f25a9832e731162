"""The policy values of one route and one target, each with where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.call import Wire
from sidecar.config.carriage import GRPC
from sidecar.config.effective import BY_PROTOCOL
from sidecar.config.resolve import Layer, origin, route_layers, upstream_layers
from sidecar.config.sources import BUILT_IN
from sidecar.listeners.read_call import IDEMPOTENT_METHODS
from sidecar.route_facts import idempotent_paths, slots
from sidecar.settings.protocols import PRESETS, PROVIDERS

if TYPE_CHECKING:
    from sidecar.call import Call
    from sidecar.config.places import Place
    from sidecar.config.resolve import Resolved, ResolvedRoute, ResolvedTarget, ResolvedUpstream
    from sidecar.config.sources import Sources
    from sidecar.settings import Settings

Json = dict[str, Any]

_OF_LLM = ("stream", "on_break", "translation", "fallback_on_refusal")
_OF_PATHS = ("strip", "rewrite")
_HTTP_ONLY = ("reuse", "finish")
"""Keys that gRPC clients have no use for."""


def route_policy(
    settings: Settings, resolved: Resolved, route: ResolvedRoute, call: Call, sources: Sources, *, by_caller: bool
) -> Json:
    """What the route asks of its calls. `by_caller`: the call was idempotent before its route was known."""
    own, owners = settings.routes[route.name], route_layers(settings, route.name)
    told: Json = {
        "deadline": sources.value(
            route.deadline, origin("deadline", owners), _whose_deadline(resolved, route), unit="s"
        ),
        "idempotent": _idempotent(resolved, route, call, sources, owners[0], by_caller=by_caller),
        "rate_limit": sources.table(route.rate_limit, "rate_limit", owners, {}, ""),
        "concurrency": _concurrency(route, sources, owners),
        "limits": _limits(settings, route, sources),
    }
    keys = (*(key for key in _OF_PATHS if getattr(own, key)), *(_OF_LLM if route.llm else ()))
    return {**told, **{key: sources.key(own, key, owners[:1]) for key in keys}}


def target_policy(
    settings: Settings, resolved: Resolved, route: ResolvedRoute, link: ResolvedTarget, place: Place, sources: Sources
) -> Json:
    """What one link of the chain at `place` asks of its attempts."""
    owners = route_layers(settings, route.name)
    if link.static:
        return {}
    upstream = resolved.upstreams[link.upstream]
    protocol = upstream.settings.protocol
    preset = PRESETS[protocol]
    told: Json = {"retry": sources.table(link.retry, "retry", owners, preset.retry, protocol)}
    told |= _of_upstream(settings, upstream, sources)
    for key in ("max_tokens", "prefill"):
        if getattr(link, key):
            told[key] = sources.value(getattr(link, key), (*place, key))
    return told


def _of_upstream(settings: Settings, upstream: ResolvedUpstream, sources: Sources) -> Json:
    name, protocol = upstream.name, upstream.settings.protocol
    owners, preset = upstream_layers(settings, name), PRESETS[protocol]
    mine = owners[:1]
    timeout = sources.table(upstream.timeout, "timeout", owners, preset.timeout, protocol)
    if protocol not in PROVIDERS:
        del timeout["first_token"]
    told: Json = {
        "timeout": timeout,
        "circuit_breaker": sources.table(
            upstream.circuit_breaker, "circuit_breaker", owners, preset.circuit_breaker, protocol
        ),
        "rate_limit": sources.table(upstream.rate_limit, "rate_limit", mine, {}, protocol),
        "concurrency": sources.table(upstream.concurrency, "concurrency", mine, preset.concurrency or {}, protocol),
    }
    if protocol not in GRPC:
        told["pool"] = sources.table(upstream.pool, "pool", mine, preset.pool, protocol)
    for key in BY_PROTOCOL:
        if protocol not in GRPC or key not in _HTTP_ONLY:
            otherwise = f"protocol {protocol}" if key in preset.upstream else BUILT_IN
            told[key] = sources.key(upstream.settings, key, mine, otherwise)
    return told


def _whose_deadline(resolved: Resolved, route: ResolvedRoute) -> str:
    """The protocol in its chains that asks for the longest, where the file says nothing."""
    everywhere = (*route.targets, *(link for chain in route.models.values() for link in chain))
    protocols = [resolved.upstreams[link.upstream].settings.protocol for link in everywhere if not link.static]
    found = next((one for one in protocols if PRESETS[one].deadline == route.deadline), "http")
    return BUILT_IN if found == "http" else f"protocol {found}"


def _idempotent(
    resolved: Resolved, route: ResolvedRoute, call: Call, sources: Sources, own: Layer, *, by_caller: bool
) -> Json:
    """Whether it may be sent twice, and who says so."""
    if by_caller:
        if call.wire is Wire.HTTP and call.method in IDEMPOTENT_METHODS:
            return sources.value(True, otherwise=f"method {call.method.decode()}")
        header = "Idempotency-Key" if b"idempotency-key" in call.fields else "X-Sidecar-Idempotent"
        return sources.value(True, otherwise=f"header {header}")
    place = origin("idempotent", (own,))
    if route.idempotent:
        return sources.value(True, place)
    if call.idempotent and call.llm is not None:
        return sources.value(True, otherwise=f"protocol {call.llm.dialect.value}")
    if call.path in idempotent_paths(route, resolved):
        return sources.value(True, otherwise="protocol router")
    return sources.value(False, place)


def _concurrency(route: ResolvedRoute, sources: Sources, owners: tuple[Layer, ...]) -> Json:
    found = slots(route)
    told = sources.table(found, "concurrency", owners, {}, "")
    most = route.limits.max_inflight
    if found is not None and most and (route.concurrency is None or most < route.concurrency.max):
        told["max"] = sources.value(most, ("routes", route.name, "limits", "max_inflight"))
    return told


def _limits(settings: Settings, route: ResolvedRoute, sources: Sources) -> Json:
    """`max_inflight` is told as `concurrency`."""
    own = Layer(("routes", route.name, "limits"), settings.routes[route.name].limits)
    of_file = Layer(("limits",), settings.limits)
    return {
        key: sources.key(route.limits, key, (own, of_file))
        for key in ("max_headers", "max_header_bytes", "max_body_bytes", "max_held_bytes")
    }
