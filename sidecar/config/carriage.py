"""Whether a chain can carry its route's calls at all: one none of whose targets can is a mistake, not a surprise.

Each upstream carries its own protocol; between c-gateway and the Router decides
cross over. What a call's body is, is not known here: a target that turns out to be
unable is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.config.overlap import covers, grpc_overlap
from sidecar.config.places import Place, Problem
from sidecar.config.resolve import STATIC
from sidecar.dialects.beamline import DECIDE
from sidecar.dialects.decide import DECIDE_PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.settings import RouteSettings, Settings

GRPC = frozenset({"grpc", "router"})
"""Protocols that are gRPC on the wire."""

_DECIDE = DECIDE.decode().removeprefix("/")
_PATHS = tuple(sorted(path.decode() for path in DECIDE_PATHS))


def impossible(place: Place, route: RouteSettings, settings: Settings) -> Iterator[Problem]:
    """A problem when no target of the chain can carry any call of the route. A static link saves no such chain."""
    key = "chain" if route.chain else "traffic"
    links = [link for link in route.chain or [part.upstream for part in route.traffic] if not link.startswith(STATIC)]
    if not links or any(link not in settings.upstreams for link in links):
        return
    reasons = [(link, cannot(route, settings.upstreams[link].protocol)) for link in links]
    if all(reason for _, reason in reasons):
        told = "; ".join(f"{link} {reason}" for link, reason in reasons)
        concluded = [(*place, part) for part in ("match", "strip", "rewrite")]
        concluded += [("upstreams", link, "protocol") for link in links]
        yield Problem((*place, key), f"no target can carry this route's calls: {told}", follows=tuple(concluded))


def cannot(route: RouteSettings, protocol: str) -> str:
    """Why no call of the route can go to an upstream of this protocol; empty when one can."""
    pattern = route.match.grpc
    if pattern is not None:
        if protocol in GRPC or (protocol == "c-gateway" and grpc_overlap(pattern, _DECIDE)):
            return ""
        return (
            f"(c-gateway) carries of gRPC only {_DECIDE}"
            if protocol == "c-gateway"
            else f"({protocol}) carries no gRPC"
        )
    if protocol == "grpc":
        return "(grpc) carries gRPC alone, which match.grpc asks for"
    if protocol == "router" and not _decides(route):
        return f"(router) carries of HTTP only POST to {' or '.join(_PATHS)}"
    return ""


def _decides(route: RouteSettings) -> bool:
    """A POST that the route takes may be one to where decides are taken."""
    if route.match.methods and "POST" not in route.match.methods:
        return False
    pattern = "/*" if route.match.path is None else route.match.path
    return any(_meets(pattern, before) for path in _PATHS for before in _before(route, pattern, path))


def _meets(pattern: str, path: str) -> bool:
    return covers(path, pattern.removesuffix("/*")) if pattern.endswith("/*") else path == pattern


def _before(route: RouteSettings, pattern: str, path: str) -> Iterator[str]:
    """The paths that `strip` and `rewrite` make this one of."""
    strip, rewrite = route.strip, route.rewrite
    if not path.startswith(rewrite):
        return
    rest = path[len(rewrite) :]
    if rest and not rest.startswith("/"):
        return
    if rewrite and not strip:
        if pattern.endswith("/*"):
            yield pattern.removesuffix("/*") + rest
        elif not rest:
            yield pattern
        return
    if strip:
        yield strip + rest
    if not (strip and covers(rest, strip)):
        yield rest
