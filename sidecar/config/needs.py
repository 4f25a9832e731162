"""What a policy file asks for that an extra of the distribution brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.config.places import Problem, select
from sidecar.extras import DISTRIBUTION, installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _is(word: str) -> Callable[[Any], bool]:
    return lambda value: value == word


def _on(value: Any) -> bool:
    return str(value).lower() not in {"false", "0", "no", "off"}


_TABLE: tuple[tuple[str, Callable[[Any], bool], str, str], ...] = (
    ("*.*.rate_limit.store", _is("redis"), "redis", "redis"),
    ("redis.share_breakers", _on, "redis", "redis"),
    ("telemetry.otlp", bool, "opentelemetry.exporter.otlp.proto.http", "otlp"),
)
"""Where, which values, the package, the extra that brings it."""


def missing(document: Any) -> Iterator[Problem]:
    """A problem for each place that asks for a package that is not installed."""
    for pattern, asks, package, extra in _TABLE:
        for place, value in select(document, pattern):
            if asks(value) and not installed(package):
                yield Problem(place, f"needs a package that is not installed: pip install '{DISTRIBUTION}[{extra}]'")
