"""The effective configuration with nothing hidden: every value decided, and where in the file each was written.

For those who show it (`config.view`) and those who compare it (`config.difference`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from sidecar.config.resolve import (
    Layer,
    merge,
    origin,
    policy_layers,
    resolve_route,
    resolve_upstream,
    route_layers,
    stack,
    upstream_layers,
)
from sidecar.settings import (
    CircuitBreakerSettings,
    ConcurrencySettings,
    PolicySettings,
    RateLimitSettings,
    RetrySettings,
    TimeoutSettings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.config.places import Place
    from sidecar.settings import Frozen, Settings

Tree = dict[str, Any]
"""Tables below tables, down to `Held`; a route's `targets` are a list of them."""

BY_PROTOCOL = ("reuse", "finish", "via")
"""Keys of an upstream whose values its protocol gives where the file does not."""


class Held(NamedTuple):
    """A value, and the place where the file sets it; nothing says that it does: the place may be missing in it.

    `()` is no place at all: no layer sets it.
    """

    value: Any
    place: Place


_POLICY_TABLES: dict[str, type[Frozen]] = {
    "retry": RetrySettings,
    "timeout": TimeoutSettings,
    "circuit_breaker": CircuitBreakerSettings,
    "rate_limit": RateLimitSettings,
    "concurrency": ConcurrencySettings,
}
_OPTIONAL = {"rate_limit", "concurrency"}


def effective(settings: Settings) -> Tree:
    """Upstreams, routes and policies have their merged tables, False where one is off.

    `policies.default` is there whether or not the file has it. A route's `retry` stands
    in `targets`, since it differs by protocol; a policy's has the values of http.
    """
    whole: Tree = _tree(settings, ())
    for name in dict.fromkeys((*settings.policies, "default")):
        table = whole["policies"].setdefault(name, _tree(PolicySettings(), ("policies", name)))
        table |= _policy(settings, name)
    for name in settings.upstreams:
        whole["upstreams"][name] |= _upstream(settings, name)
    for name in settings.routes:
        del whole["routes"][name]["retry"]
        whole["routes"][name] |= _route(settings, name)
    return whole


def _policy(settings: Settings, name: str) -> Tree:
    owners = policy_layers(settings, name)
    asked = [layer.table for layer in owners if layer.sets("deadline")] or [PolicySettings()]
    tables: Tree = {"deadline": Held(dict(asked[0])["deadline"], origin("deadline", owners) or ())}
    for key, kind in _POLICY_TABLES.items():
        layers = stack(key, owners)
        absent = layers is None or not (layers or key not in _OPTIONAL)
        tables[key] = _table(None if absent else merge(kind, layers or (), {}), key, owners)
    return tables


def _upstream(settings: Settings, name: str) -> Tree:
    found = resolve_upstream(settings, name)
    owners = upstream_layers(settings, name)
    mine = owners[:1]
    return {
        "timeout": _table(found.timeout, "timeout", owners),
        "circuit_breaker": _table(found.circuit_breaker, "circuit_breaker", owners),
        "rate_limit": _table(found.rate_limit, "rate_limit", mine),
        "concurrency": _table(found.concurrency, "concurrency", mine),
        "pool": _table(found.pool, "pool", mine),
        **{key: Held(getattr(found.settings, key), ("upstreams", name, key)) for key in BY_PROTOCOL},
    }


def _route(settings: Settings, name: str) -> Tree:
    found = resolve_route(settings, name)
    owners = route_layers(settings, name)
    return {
        "deadline": Held(found.deadline, origin("deadline", owners) or ()),
        "targets": [
            {
                "upstream": Held(target.upstream, ()),
                "static": Held(target.static, ()),
                "retry": _table(target.retry, "retry", owners),
            }
            for target in found.targets
        ],
        "rate_limit": _table(found.rate_limit, "rate_limit", owners),
        "concurrency": _table(found.concurrency, "concurrency", owners),
    }


def _tree(value: Any, place: Place) -> Any:
    if isinstance(value, BaseModel):
        return {key: _tree(item, (*place, key)) for key, item in value}
    if isinstance(value, Mapping):
        return {key: _tree(item, (*place, key)) for key, item in value.items()}
    return Held(value, place)


def _table(table: BaseModel | None, key: str, owners: Sequence[Layer]) -> Any:
    """A merged table, each value where the strongest of `owners` sets it."""
    if table is None:
        return Held(False, origin(key, owners) or ())
    layers = stack(key, owners) or ()
    return {name: Held(value, origin(name, layers) or ()) for name, value in table}
