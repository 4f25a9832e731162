"""What follows from settings of a route alone, for `targets`, which build what calls follow, and for explanations.

Nothing here opens, reads or keeps anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from sidecar.config.carriage import cannot
from sidecar.dialects import beamline
from sidecar.settings import ConcurrencySettings
from sidecar.upstreams.transcode import gateway_cannot, router_cannot
from sidecar.wiring_llm import ANY_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sidecar.call import Call
    from sidecar.config.resolve import Resolved, ResolvedRoute, ResolvedTarget
    from sidecar.settings import Settings

CANNOT: dict[str, Callable[[Call], str]] = {"c-gateway": gateway_cannot, "router": router_cannot}
"""Protocols whose targets carry only some of the calls that may come by a route."""


class Matching(TypedDict):
    """The fields of an `engine.route.Pattern`."""

    name: str
    host: bytes
    grpc: bytes
    path: bytes
    methods: frozenset[bytes]
    headers: tuple[tuple[bytes, bytes], ...]
    strip: bytes
    rewrite: bytes


def matching(route: ResolvedRoute) -> Matching:
    """Which calls it takes."""
    match = route.match
    return Matching(
        name=route.name,
        host=(match.host or "").lower().encode(),
        grpc=(match.grpc or "").encode(),
        path=(match.path or "/*").encode(),
        methods=frozenset(method.encode() for method in match.methods),
        headers=tuple((name.lower().encode(), value.encode()) for name, value in match.headers.items()),
        strip=route.strip.encode(),
        rewrite=route.rewrite.encode(),
    )


def slots(route: ResolvedRoute) -> ConcurrencySettings | None:
    """How many calls at once: `concurrency` and `limits.max_inflight` may both be set, and the smaller counts."""
    found, most = route.concurrency, route.limits.max_inflight
    if not most:
        return found
    found = found or ConcurrencySettings(max=most)
    return found.model_copy(update={"max": min(found.max, most)})


def cannot_carry(route: ResolvedRoute, settings: Settings, protocol: str) -> Callable[[Call], str] | None:
    """Tells of a call by this route why a target of this protocol cannot carry it, empty when it can.

    None: it carries any, as far as its protocol goes.
    """
    reason = cannot(settings.routes[route.name], protocol)
    if not reason:
        return CANNOT.get(protocol)
    why = f"not_translatable: it {reason.partition(') ')[2]}"
    return lambda _call: why


def idempotent_paths(route: ResolvedRoute, resolved: Resolved) -> frozenset[bytes]:
    """What the Router's protocol knows to be safe to send twice."""
    upstreams = (resolved.upstreams[link.upstream] for link in route.targets if not link.static)
    known = any(upstream.settings.protocol in CANNOT for upstream in upstreams)
    return beamline.IDEMPOTENT if route.match.grpc and known else frozenset()


def always_idempotent(route: ResolvedRoute, protocol: str) -> bool:
    """Of HTTP the Router takes decides only, and a decide may be repeated."""
    return protocol == "router" and not route.match.grpc


def asked_elsewhere(route: ResolvedRoute, named: Collection[tuple[str, str]]) -> set[str]:
    """Models that calls by the route's own chain may ask for, and that the file names behind an upstream."""
    return {model for _, model in named} - set(route.models)


def scope(link: ResolvedTarget, asked: str, named: Collection[tuple[str, str]]) -> str:
    """The model by which the breaker and the rest of a provider's target are named.

    `asked`: of a chain that names no model, the one that its calls ask for, if the file names it elsewhere.
    """
    model = link.model or asked
    return model if (link.upstream, model) in named else ANY_MODEL
