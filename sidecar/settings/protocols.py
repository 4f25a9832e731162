"""What differs by the upstream's protocol where the file says nothing: seconds, bytes, and the presets.

The models' own defaults are those of `http`; here stands only what differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.settings.upstreams import Protocol

Values = dict[str, object]


@dataclass(frozen=True, slots=True)
class Preset:
    """Values of one protocol, by the table they belong to; `upstream` are keys of the upstream itself."""

    deadline: float = 300.0
    retry: Values = field(default_factory=dict)
    timeout: Values = field(default_factory=dict)
    circuit_breaker: Values = field(default_factory=dict)
    pool: Values = field(default_factory=dict)
    upstream: Values = field(default_factory=dict)
    concurrency: Values | None = None


PROVIDERS: frozenset[str] = frozenset({"openai", "anthropic"})
"""Protocols of LLM providers."""

_PROVIDER = Preset(
    deadline=600.0,
    retry={"backoff": 0.5, "max_backoff": 8.0, "replay_buffer": 32 * 1024**2},
    timeout={"connect": 5.0, "attempt": 0.0, "first_token": 60.0},
    circuit_breaker={"probe_timeout": 10.0},
    pool={"max": 0},
    upstream={"via": False},
)

PRESETS: Mapping[Protocol, Preset] = {
    "http": Preset(),
    "c-gateway": Preset(
        deadline=60.0,
        timeout={"idle": 0.0},
        upstream={"reuse": False, "finish": True, "via": False},
        concurrency={"max": 1, "queue": 64, "max_wait": 5.0},
    ),
    "router": Preset(deadline=60.0, timeout={"idle": 0.0}),
    "grpc": Preset(deadline=0.0, timeout={"attempt": 0.0, "idle": 0.0}),
    "openai": _PROVIDER,
    "anthropic": _PROVIDER,
}
