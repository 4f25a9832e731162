"""What a policy file may say already but this version cannot do yet: one table, which shrinks.

A key is refused where it would promise something; a value that promises nothing
(`""`, `false`, a default) passes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.config.places import Problem, select
from sidecar.settings import RetrySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOT_YET = "not yet available in this version"


def _used(_: Any) -> bool:
    return True


def _filled(value: Any) -> bool:
    return str(value) not in {"", "0"}


def _on(value: Any) -> bool:
    return str(value).lower() not in {"false", "0", "no", "off"}


def _is(*words: str) -> Callable[[Any], bool]:
    return lambda value: value in words


def _other_codes(value: Any) -> bool:
    codes = value.split(",") if isinstance(value, str) else value
    return not isinstance(codes, list) or {str(code).strip() for code in codes} != set(RetrySettings().grpc_codes)


_TABLE: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    # gRPC
    ("listen.grpc", _filled),
    ("listen.grpc_tls", _used),
    ("upstreams.*.protocol", _is("c-gateway", "grpc", "router", "openai", "anthropic")),
    ("upstreams.*.finish", _on),
    ("upstreams.*.unary", _used),
    ("upstreams.*.keepalive", _used),
    ("routes.*.match.grpc", _used),
    ("*.*.retry.grpc_codes", _other_codes),
    ("static.*.grpc_code", _used),
    ("static.*.grpc_message", _used),
    # LLM providers
    ("upstreams.*.query", _used),
    ("upstreams.*.auth", _used),
    ("upstreams.*.api_key", _used),
    ("*.*.timeout.first_token", _used),
    ("*.*.rate_limit.tokens_per_minute", _filled),
    ("routes.*.stream", _used),
    ("routes.*.on_break", _used),
    ("routes.*.translation", _used),
    ("routes.*.fallback_on_refusal", _used),
    ("models.*", _used),
    # further policies
    ("*.*.hedge", _on),
    ("*.*.cache", _on),
    ("*.*.concurrency.adaptive", _on),
    ("*.*.rate_limit.store", _is("redis")),
    ("redis", _used),
    ("faults.*", _used),
    ("telemetry.otlp", _filled),
)


def unavailable(document: Any) -> Iterator[Problem]:
    """A problem for each place that asks for more than this version does."""
    for pattern, asks in _TABLE:
        for place, value in select(document, pattern):
            if asks(value):
                yield Problem(place, NOT_YET)
