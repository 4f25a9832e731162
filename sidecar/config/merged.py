"""What only shows when the layers are merged: values that exclude each other, wherever each was written.

A problem stands at the strongest key that the file sets; what the file sets nowhere is ours and right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.config.places import Problem
from sidecar.config.resolve import Layer, merge, origin, policy_layers, route_layers, stack, upstream_layers
from sidecar.settings import CircuitBreakerSettings, RateLimitSettings, RetrySettings
from sidecar.settings.protocols import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidecar.settings import Settings

_WINDOWS = ("per_second", "per_minute", "per_hour", "per_day", "tokens_per_minute")


def merged(settings: Settings) -> Iterator[Problem]:
    """Problems of the merged tables of each upstream and route, in no order; the same one may come twice."""
    for name, upstream in settings.upstreams.items():
        owners = upstream_layers(settings, name)
        yield from _breaker(stack("circuit_breaker", owners), PRESETS[upstream.protocol].circuit_breaker)
        yield from _rate_limit(owners[:1])
    for name, route in settings.routes.items():
        owners = route_layers(settings, name)
        links = [*route.chain, *(part.upstream for part in route.traffic)]
        for protocol in {settings.upstreams[link].protocol for link in links if link in settings.upstreams}:
            yield from _retry(stack("retry", owners) or (), PRESETS[protocol].retry)
        yield from _rate_limit(owners)
    for name in settings.policies:
        owners = policy_layers(settings, name)
        yield from _breaker(stack("circuit_breaker", owners), {})
        yield from _retry(stack("retry", owners) or (), {})


def _breaker(layers: Sequence[Layer] | None, values: dict[str, object]) -> Iterator[Problem]:
    if not layers:
        return
    found = merge(CircuitBreakerSettings, layers, values)
    if found.failure_threshold > found.window and (place := _first(layers, "failure_threshold", "window")):
        yield Problem(
            place, f"failure_threshold ({found.failure_threshold}) is more than window ({found.window}): it never opens"
        )


def _retry(layers: Sequence[Layer], values: dict[str, object]) -> Iterator[Problem]:
    found = merge(RetrySettings, layers, values)
    if found.backoff > found.max_backoff and (place := _first(layers, "backoff", "max_backoff")):
        yield Problem(place, f"backoff ({found.backoff:g}s) is more than max_backoff ({found.max_backoff:g}s)")


def _rate_limit(owners: Sequence[Layer]) -> Iterator[Problem]:
    if not (layers := stack("rate_limit", owners)):
        return
    found = merge(RateLimitSettings, layers, {})
    if not any(getattr(found, window) for window in _WINDOWS):
        yield Problem(layers[0].where, "limits nothing", allowed=f"at least one of {', '.join(_WINDOWS)}")


def _first(layers: Sequence[Layer], *keys: str) -> tuple[str, ...] | None:
    return next((place for key in keys if (place := origin(key, layers))), None)
