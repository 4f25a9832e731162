"""What only gRPC asks of a file: methods, metadata, and keys that have a meaning for HTTP alone, or for gRPC alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.config.carriage import GRPC
from sidecar.config.places import Place, Problem
from sidecar.dialects.metadata import is_name, is_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.settings import MatchSettings, RouteSettings, UpstreamSettings

_METHOD = re.compile(r"[A-Za-z_][\w.]*/\w+|([A-Za-z_][\w.]*(/\w*)?)?\*")
_A_METHOD = "package.Service/Method, or a prefix with *"
_RESERVED = frozenset({"content-type", "te", "user-agent"})

_HTTP_ONLY = {
    "health": "a check is asked over HTTP",
    "pool": "gRPC calls share one connection to each address",
    "reuse": "gRPC calls share one connection to each address",
    "finish": "a cancelled gRPC call leaves its connection as it is",
    "host": "it is a header of HTTP/1.1",
    "forwarded": "these are headers of HTTP",
    "proxy": "gRPC connections are made directly",
}
_GRPC_ONLY = ("unary", "keepalive")


def check_match(place: Place, match: MatchSettings) -> Iterator[Problem]:
    """Problems of a `match` that names gRPC methods."""
    if match.grpc is None:
        return
    if match.path is not None or match.methods:
        yield Problem((*place, "grpc"), "cannot stand beside path or methods: a call is one or the other")
    if not _METHOD.fullmatch(match.grpc):
        yield Problem((*place, "grpc"), "names no method", allowed=_A_METHOD)
    if match.host is not None:
        told = "cannot stand beside grpc: grpcio does not tell the authority that a call names"
        yield Problem((*place, "host"), told)


def check_route(place: Place, route: RouteSettings) -> Iterator[Problem]:
    """Problems of a route with `match.grpc`."""
    if route.match.grpc is None:
        return
    for key in ("strip", "rewrite"):
        if getattr(route, key):
            yield Problem((*place, key), "has no effect on gRPC calls: a method's name is no path")


def check_upstream(place: Place, upstream: UpstreamSettings) -> Iterator[Problem]:
    """Problems of an upstream's keys that depend on whether it speaks gRPC."""
    protocol = upstream.protocol
    if protocol not in GRPC:
        for key in _GRPC_ONLY:
            if key in upstream.model_fields_set:
                told = f"has no effect with protocol {protocol}: it is for gRPC"
                yield Problem((*place, key), told, follows=((*place, "protocol"),))
        return
    for key, why in _HTTP_ONLY.items():
        default = type(upstream).model_fields[key].default
        if getattr(upstream, key) != default:
            yield Problem((*place, key), f"has no effect with protocol {protocol}: {why}")
    if protocol == "router" and upstream.unary:
        yield Problem((*place, "unary"), "has no effect with protocol router: its methods are known")
    if not upstream.tls.verify:
        yield Problem((*place, "tls", "verify"), "gRPC always verifies: name the authority in tls.ca")
    for index, pattern in enumerate(upstream.unary):
        if not _METHOD.fullmatch(pattern):
            yield Problem((*place, "unary", index), "names no method", allowed=_A_METHOD)
    for index, url in enumerate(upstream.addresses):
        if not url.startswith("unix:") and urlsplit(url).path not in ("", "/"):
            here = (*place, "urls", index) if upstream.urls else (*place, "url")
            yield Problem(here, f"cannot have a path with protocol {protocol}: methods have fixed names")
    for key in ("headers", "default_headers"):
        for name, value in getattr(upstream, key).items():
            if not is_name(name.lower().encode()) or name.lower() in _RESERVED or name.lower().startswith("grpc-"):
                yield Problem((*place, key, name), "is no name that gRPC metadata of ours can have")
            elif not is_text(value):
                yield Problem((*place, key, name), "gRPC metadata can hold printable ASCII only")
