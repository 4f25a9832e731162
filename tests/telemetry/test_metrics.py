"""What `GET /metrics` says after calls have ended."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from sidecar.telemetry.metrics import Metrics, category

OPENMETRICS = "application/openmetrics-text; version=1.0.0, text/plain;version=0.0.4;q=0.5"


def values(metrics: Metrics, accept: str = "") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _, text = metrics.exposition(accept)
    parse = parse_openmetrics if accept else parse_plain
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


def read(metrics: Metrics, name: str, **labels: str) -> float | None:
    return values(metrics).get((name, tuple(sorted(labels.items()))))


def one_call(metrics: Metrics, route: str, method: bytes = b"POST", status: int = 200) -> None:
    series = metrics.route(route)
    series.inflight.value += 1
    metrics.target(route, "store").attempted("ok", 0.02, 0.01)
    series.finished(method, status, 0.0215, 0.0004)


def test_an_ordinary_call_moves_its_series() -> None:
    metrics = Metrics(version="1.2.3")
    one_call(metrics, "things")
    assert read(metrics, "http_requests_total", method="POST", endpoint="things", status="200") == 1
    assert read(metrics, "http_request_duration_seconds_count", method="POST", endpoint="things") == 1
    assert read(metrics, "http_request_duration_seconds_sum", method="POST", endpoint="things") == 0.0215
    assert read(metrics, "sidecar_attempts_total", route="things", upstream="store", outcome="ok") == 1
    assert read(metrics, "sidecar_attempt_duration_seconds_sum", upstream="store") == 0.02
    assert read(metrics, "sidecar_time_to_first_byte_seconds_sum", route="things", upstream="store") == 0.01
    assert read(metrics, "sidecar_overhead_seconds_sum", endpoint="things") == 0.0004
    assert read(metrics, "sidecar_inflight", route="things") == 0
    assert read(metrics, "http_request_errors_total", method="POST", endpoint="things", error="server") is None


def test_an_attempt_without_a_byte_has_no_first_byte_time() -> None:
    metrics = Metrics(version="1")
    metrics.target("things", "store").attempted("connect_failed", 2.0, 0.0)
    assert read(metrics, "sidecar_attempt_duration_seconds_count", upstream="store") == 1
    assert read(metrics, "sidecar_time_to_first_byte_seconds_count", route="things", upstream="store") == 0


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, "rate_limit"), (500, "server"), (503, "server"), (408, "server"), (400, "invalid_request"),
        (404, "invalid_request"), (413, "invalid_request"), (422, "invalid_request"), (401, "auth"), (403, "auth"),
        (405, "unknown"), (0, "unknown"), (700, "unknown"),
    ],
)  # fmt: skip
def test_errors_are_counted_by_category(status: int, error: str) -> None:
    metrics = Metrics(version="1")
    one_call(metrics, "things", status=status)
    assert category(status) == error
    assert read(metrics, "http_request_errors_total", method="POST", endpoint="things", error=error) == 1


def test_a_caller_that_left_before_the_status_counts_as_499() -> None:
    metrics = Metrics(version="1")
    one_call(metrics, "things", status=0)
    assert read(metrics, "http_requests_total", method="POST", endpoint="things", status="499") == 1


def test_a_made_up_method_is_no_label() -> None:
    metrics = Metrics(version="1")
    for method in (b"BREW", b"WHEN", b"BREW"):
        one_call(metrics, "things", method=method)
    assert read(metrics, "http_requests_total", method="_OTHER", endpoint="things", status="200") == 3
    assert read(metrics, "http_request_duration_seconds_count", method="_OTHER", endpoint="things") == 3


def test_past_the_limit_new_label_sets_are_other() -> None:
    metrics = Metrics(version="1", max_series=40)
    for number in range(100):
        one_call(metrics, f"route-{number}")
    told = values(metrics)
    series = [key for key in told if key[0] == "http_requests_total"]
    assert len(series) < 40
    others = told["http_requests_total", (("endpoint", "other"), ("method", "other"), ("status", "other"))]
    assert others + len(series) - 1 == 100


def test_a_dropped_route_takes_its_series_along_and_the_others_stay() -> None:
    metrics = Metrics(version="1", max_series=40)
    one_call(metrics, "old")
    one_call(metrics, "kept")
    metrics.retire(["old"], [])
    told = values(metrics)
    assert not [labels for _, labels in told if "old" in dict(labels).values()]
    assert told["http_requests_total", (("endpoint", "kept"), ("method", "POST"), ("status", "200"))] == 1
    assert told["sidecar_attempt_duration_seconds_count", (("upstream", "store"),)] == 2


def test_a_dropped_upstream_takes_its_breakers_along() -> None:
    metrics = Metrics(version="1")
    metrics.transitions.child("store/large", "open").value += 1
    metrics.transitions.child("storehouse", "open").value += 1
    metrics.fallbacks.child("things", "other-store", "store", "timeout").value += 1
    metrics.retire([], ["store", "open"])
    told = {labels for name, labels in values(metrics) if name.startswith(("circuit", "sidecar_fallbacks"))}
    assert told == {(("service", "storehouse"), ("to", "open"))}


def test_a_call_that_outlives_its_route_leaves_no_trace() -> None:
    metrics = Metrics(version="1")
    series, target = metrics.route("old"), metrics.target("old", "store")
    metrics.retire(["old"], [])
    target.attempted("timeout", 1.0, 0.0)
    series.finished(b"GET", 504, 1.0, 0.0)
    series.finished_grpc("shop.v1.Cart/Add", "UNAVAILABLE", 1.0, 0.0)
    assert not [labels for _, labels in values(metrics) if "old" in dict(labels).values()]


def test_retired_series_make_room() -> None:
    metrics = Metrics(version="1", max_series=20)
    for number in range(50):
        one_call(metrics, f"route-{number}")
        metrics.retire([f"route-{number}"], ["store"])
    one_call(metrics, "last")
    assert read(metrics, "http_requests_total", method="POST", endpoint="last", status="200") == 1


def test_a_route_that_stays_keeps_its_counts_over_a_reload() -> None:
    metrics = Metrics(version="1")
    one_call(metrics, "things")
    assert metrics.route("things") is metrics.route("things")
    metrics.retire([], [])
    one_call(metrics, "things")
    assert read(metrics, "http_requests_total", method="POST", endpoint="things", status="200") == 2


def test_watched_gauges_are_read_when_somebody_scrapes() -> None:
    metrics = Metrics(version="1")
    states = {"store": 0.0}
    metrics.watch("circuit_breaker_state", lambda: [((name,), state) for name, state in states.items()])
    assert read(metrics, "circuit_breaker_state", service="store") == 0
    states["store"] = 2.0
    assert read(metrics, "circuit_breaker_state", service="store") == 2


def test_only_known_gauges_can_be_watched() -> None:
    with pytest.raises(ValueError, match="not a watched gauge"):
        Metrics(version="1").watch("sidecar_weather", list)


def test_the_process_and_its_configuration_are_told() -> None:
    metrics = Metrics(version="1.2.3", dropped=lambda: 7)
    metrics.reloaded("success", 1)
    metrics.reloaded("failure", 1)
    assert read(metrics, "sidecar_config_generation") == 1
    assert read(metrics, "sidecar_config_reload_failed") == 1
    assert read(metrics, "sidecar_config_reloads_total", result="failure") == 1
    assert read(metrics, "sidecar_log_dropped_total") == 7
    assert read(metrics, "sidecar_build_info", version="1.2.3") == 1
    assert (read(metrics, "process_cpu_seconds_total") or 0) > 0


def test_openmetrics_where_the_scraper_asks_for_it() -> None:
    metrics = Metrics(version="1", dropped=lambda: 3)
    one_call(metrics, "things", status=503)
    content_type, text = metrics.exposition(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    told = values(metrics, OPENMETRICS)
    assert told["http_requests_total", (("endpoint", "things"), ("method", "POST"), ("status", "503"))] == 1
    assert told["sidecar_log_dropped_total", ()] == 3


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/openmetrics-text; version=latest", "=;,;="])
def test_plain_text_for_everybody_else(accept: str) -> None:
    content_type, text = Metrics(version="1").exposition(accept)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in text
