"""The policy tables: built-in values, and which table belongs where."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sidecar.settings import (
    CacheSettings,
    CircuitBreakerSettings,
    ConcurrencySettings,
    HedgeSettings,
    PolicySettings,
    RateLimitSettings,
    RetrySettings,
)
from sidecar.settings.policies import RoutePolicy, SharedPolicy, UpstreamPolicy


def test_retry() -> None:
    retry = RetrySettings()
    assert (retry.tries, retry.max_attempts, retry.backoff, retry.max_backoff) == (3, 6, 0.1, 5)
    assert (retry.multiplier, retry.jitter, retry.budget, retry.budget_min_per_second) == (2, 0.5, 0.2, 3)
    assert (retry.patience, retry.max_retry_after, retry.max_rest, retry.replay_buffer) == (5, 60, 900, 1048576)


def test_circuit_breaker() -> None:
    breaker = CircuitBreakerSettings()
    assert (breaker.failure_threshold, breaker.failure_rate, breaker.window, breaker.window_time) == (5, 0.5, 100, 30)
    assert (breaker.recovery_first, breaker.recovery_timeout, breaker.success_threshold) == (5, 60, 2)
    assert (breaker.probes, breaker.probe_timeout, breaker.slow_call) == (1, 5, 0)


def test_optional_tables() -> None:
    assert RateLimitSettings().model_dump() == {
        "per_second": 0, "per_minute": 0, "per_hour": 0, "per_day": 0, "tokens_per_minute": 0, "burst": 0,
        "key": "global", "max_wait": 0, "max_keys": 100_000, "store": "local",
    }  # fmt: skip
    assert ConcurrencySettings().model_dump() == {"max": 100, "queue": 0, "max_wait": 0, "adaptive": False}
    assert CacheSettings().model_dump() == {"ttl": 300, "max_bytes": 64 * 1024**2, "coalesce": True}


@pytest.mark.parametrize(("text", "after"), [("300ms", 0.3), ("p95", "p95"), (2, 2.0)])
def test_a_hedge_starts_after_a_time_or_by_what_is_usual(text: object, after: float | str) -> None:
    assert HedgeSettings.model_validate({"after": text}).after == after


def test_a_hedge_knows_no_other_share() -> None:
    with pytest.raises(ValidationError):
        HedgeSettings.model_validate({"after": "p50"})


def test_a_policy_holds_what_routes_and_what_upstreams_ask() -> None:
    parts = (UpstreamPolicy, RoutePolicy, SharedPolicy)
    assert set(PolicySettings.model_fields) == set().union(*(part.model_fields for part in parts))


def test_false_switches_a_table_off_and_true_sets_nothing() -> None:
    off = PolicySettings.model_validate({"circuit_breaker": False, "rate_limit": False})
    assert (off.circuit_breaker, off.rate_limit) == (None, None)
    assert off.model_fields_set == {"circuit_breaker", "rate_limit"}
    on = PolicySettings.model_validate({"circuit_breaker": True})
    assert on.circuit_breaker == CircuitBreakerSettings()
