"""Presets name keys that exist."""

from __future__ import annotations

from typing import get_args

import pytest

from sidecar.settings import (
    CircuitBreakerSettings,
    ConcurrencySettings,
    PoolSettings,
    Protocol,
    RetrySettings,
    TimeoutSettings,
    UpstreamSettings,
)
from sidecar.settings.protocols import PRESETS


def test_each_protocol_has_its_values() -> None:
    assert set(PRESETS) == set(get_args(Protocol))


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_every_value_fits_its_table(protocol: Protocol) -> None:
    preset = PRESETS[protocol]
    RetrySettings.model_validate(preset.retry)
    TimeoutSettings.model_validate(preset.timeout)
    CircuitBreakerSettings.model_validate(preset.circuit_breaker)
    PoolSettings.model_validate(preset.pool)
    UpstreamSettings.model_validate(preset.upstream)
    ConcurrencySettings.model_validate(preset.concurrency or {})
