"""The effective configuration as it may be shown: every value decided, every secret hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from sidecar.config.resolve import Layer, origin, resolve_route, resolve_upstream, route_layers, stack, upstream_layers
from sidecar.settings.texts import SECRET_NAME, SECRET_PARAMETER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.config.places import Place
    from sidecar.settings import Settings

HIDDEN = "***"

_USERINFO = re.compile(r"(?<=://)[^/?#\s]+(?=@)")  # up to the last @: a password may hold one
_SECRET_KEYS = {"http_token", "token", "api_key"}
_NAMED_VALUES = {"headers", "default_headers", "query"}


def view(settings: Settings, hidden: frozenset[Place]) -> dict[str, Any]:
    """Plain JSON values. `hidden` are the places whose values came from the environment or a file.

    Upstreams and routes have their merged tables; a route's `retry` stands in
    `targets`, since it differs by protocol.
    """
    whole: dict[str, Any] = _shown(settings, (), hidden)
    for name in settings.upstreams:
        upstream = resolve_upstream(settings, name)
        owners = upstream_layers(settings, name)
        mine = owners[:1]
        whole["upstreams"][name] |= {
            "timeout": _table(upstream.timeout, stack("timeout", owners), hidden),
            "circuit_breaker": _table(upstream.circuit_breaker, stack("circuit_breaker", owners), hidden),
            "rate_limit": _table(upstream.rate_limit, stack("rate_limit", mine), hidden),
            "concurrency": _table(upstream.concurrency, stack("concurrency", mine), hidden),
            "pool": _table(upstream.pool, stack("pool", mine), hidden),
            **{
                key: _shown(getattr(upstream.settings, key), ("upstreams", name, key), hidden)
                for key in ("reuse", "finish", "via")
            },
        }
    for name in settings.routes:
        route = resolve_route(settings, name)
        owners = route_layers(settings, name)
        targets = [
            {
                "upstream": target.upstream,
                "static": target.static,
                "retry": _table(target.retry, stack("retry", owners), hidden),
            }
            for target in route.targets
        ]
        del whole["routes"][name]["retry"]
        whole["routes"][name] |= {
            "deadline": _shown(route.deadline, origin("deadline", owners) or (), hidden),
            "targets": targets,
            "rate_limit": _table(route.rate_limit, stack("rate_limit", owners), hidden),
            "concurrency": _table(route.concurrency, stack("concurrency", owners), hidden),
        }
    return whole


def _table(table: BaseModel | None, layers: Sequence[Layer] | None, hidden: frozenset[Place]) -> Any:
    """A merged table: each key is hidden if the value that won came from a hidden place."""
    if table is None:
        return False
    return {key: _shown(value, origin(key, layers or ()) or (), hidden) for key, value in table}


def _shown(value: Any, place: Place, hidden: frozenset[Place]) -> Any:
    if place and (place in hidden or _tells(value, place)):
        return HIDDEN
    if isinstance(value, BaseModel):
        return {key: _shown(item, (*place, key), hidden) for key, item in value}
    if isinstance(value, Mapping):
        return {key: _shown(item, (*place, key), hidden) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_shown(item, (*place, index), hidden) for index, item in enumerate(value)]
    return _USERINFO.sub(HIDDEN, value) if isinstance(value, str) else value


def _tells(value: Any, place: Place) -> bool:
    """A value that is a secret by its name, wherever it came from."""
    if not isinstance(value, str) or not value:
        return False
    table, name = place[-2] if len(place) > 1 else "", str(place[-1])
    if table in _NAMED_VALUES:
        return (SECRET_PARAMETER if table == "query" else SECRET_NAME).search(name) is not None
    return name in _SECRET_KEYS
