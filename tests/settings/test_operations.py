"""`[redis]`, `[telemetry]`, `[admin]`."""

from __future__ import annotations

from sidecar.settings import AdminSettings, RedisSettings, TelemetrySettings


def test_the_log_is_json_with_a_line_for_each_call() -> None:
    telemetry = TelemetrySettings()
    assert (telemetry.log_level, telemetry.log_format, telemetry.access_log) == ("info", "json", True)
    assert (telemetry.access_log_sample, telemetry.otlp, telemetry.server_timing) == (1, "", False)
    assert telemetry.max_series == 10_000


def test_redis_counts_locally_without_redis() -> None:
    assert (RedisSettings().on_failure, RedisSettings().share_breakers) == ("local", False)


def test_no_token_is_asked_unless_one_is_set() -> None:
    assert AdminSettings().token == ""
