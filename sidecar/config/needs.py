"""What a policy file asks for that an extra of the distribution brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.config.places import Problem, select
from sidecar.extras import DISTRIBUTION, installed

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = (
    ("*.*.rate_limit.store", "redis", "redis", "redis"),
    ("telemetry.otlp", None, "opentelemetry.exporter.otlp.proto.http", "otlp"),
)
"""Where, which value (None: any that is not empty), the package, the extra that brings it."""


def missing(document: Any) -> Iterator[Problem]:
    """A problem for each place that asks for a package that is not installed."""
    for pattern, wanted, package, extra in _TABLE:
        for place, value in select(document, pattern):
            asked = value == wanted if wanted else bool(str(value))
            if asked and not installed(package):
                yield Problem(place, f"needs a package that is not installed: pip install '{DISTRIBUTION}[{extra}]'")
