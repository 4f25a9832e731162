"""What the engine says reaches metrics, log, timeline and events."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sidecar.call import Outcome, Verdict
from sidecar.errors import InvalidRequest
from sidecar.telemetry.log_writer import LogWriter
from sidecar.telemetry.start import telemetry_to
from tests.kit.finished_calls import finished_call, summary
from tests.kit.server_sent import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.engine.observer import RouteObserver, TargetObserver
    from sidecar.telemetry.observers import Telemetry

OK = Outcome("ok", Verdict.SUCCESS)


@dataclass
class Breaker:
    name: str


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    fd = os.open(os.devnull, os.O_WRONLY)
    writer = LogWriter(fd)
    os.close(fd)
    yield telemetry_to(writer, version="1.2.3")
    writer.close()


def metric(telemetry: Telemetry, line: str) -> float | None:
    """The value of one sample, written as in the exposition."""
    _, text = telemetry.metrics.exposition("")
    for sample in text.decode().splitlines():
        name, _, value = sample.rpartition(" ")
        if name == line:
            return float(value)
    return None


def test_they_are_what_the_engine_talks_to(telemetry: Telemetry) -> None:
    route: RouteObserver = telemetry.route("things")
    target: TargetObserver = telemetry.target("things", "store")
    call = finished_call()
    route.started(call)
    assert metric(telemetry, 'sidecar_inflight{route="things"}') == 1
    target.attempted(call, OK, 0.02, 0.01)
    route.finished(call, summary())
    assert metric(telemetry, 'sidecar_inflight{route="things"}') == 0
    assert metric(telemetry, 'http_requests_total{method="POST",endpoint="things",status="200"}') == 1
    found = telemetry.timeline.find("req-1")
    assert found is not None


def test_a_grpc_call_moves_grpc_s_metrics_and_none_of_http_s(telemetry: Telemetry) -> None:
    telemetry.grpc_method = lambda path: "shop.v1.Cart/Add" if path == b"/shop.v1.Cart/Add" else "other"
    route = telemetry.route("cart")
    for path, code in ((b"/shop.v1.Cart/Add", "OK"), (b"/shop.v1.Cart/Add", "OK"), (b"/any/thing", "")):
        call = finished_call(path=path, code=code)
        route.started(call)
        route.finished(call, summary())
    assert metric(telemetry, 'sidecar_inflight{route="cart"}') == 0
    known = 'route="cart",grpc_method="shop.v1.Cart/Add"'
    assert metric(telemetry, f'grpc_requests_total{{{known},code="OK"}}') == 2
    assert metric(telemetry, f"grpc_request_duration_seconds_count{{{known}}}") == 2
    assert metric(telemetry, 'grpc_requests_total{route="cart",grpc_method="other",code="CANCELLED"}') == 1
    assert metric(telemetry, 'sidecar_overhead_seconds_count{endpoint="cart"}') == 3
    assert "http_requests_total{" not in telemetry.metrics.exposition("")[1].decode()


def test_until_somebody_tells_which_methods_there_are_none_is_known(telemetry: Telemetry) -> None:
    call = finished_call(path=b"/shop.v1.Cart/Add", code="UNIMPLEMENTED")
    telemetry.unrouted.started(call)
    telemetry.unrouted.finished(call, summary(outcome="no_route"))
    assert metric(telemetry, 'grpc_requests_total{route="_none",grpc_method="other",code="UNIMPLEMENTED"}') == 1


def test_what_happens_on_the_way_is_counted(telemetry: Telemetry) -> None:
    route, target = telemetry.route("things", "header:X-Tenant-ID"), telemetry.target("things", "store")
    call = finished_call()
    target.retried(call, "timeout")
    target.budget_exhausted(call)
    target.rested(3.0, "throttled")
    route.fell_back(call, "store", "spare", "timeout")
    route.refused_by_limit(call)
    route.replay_skipped(call, "too_long")
    telemetry.breaker_moved(Breaker("store"), "closed", "open")
    telemetry.unreadable(call, InvalidRequest())
    for line in (
        'sidecar_retries_total{route="things",upstream="store",reason="timeout"}',
        'sidecar_retry_budget_exhausted_total{upstream="store"}',
        'sidecar_fallbacks_total{route="things",from="store",to="spare",reason="timeout"}',
        'rate_limit_exceeded_total{endpoint="things",identifier="header:X-Tenant-ID"}',
        'sidecar_replay_skipped_total{route="things",reason="too_long"}',
        'circuit_breaker_transitions_total{service="store",to="open"}',
        'http_requests_total{method="_OTHER",endpoint="_none",status="400"}',
    ):
        assert metric(telemetry, line) == 1, line


def test_a_call_whose_parts_add_up_to_more_than_it_has_no_overhead(telemetry: Telemetry) -> None:
    over = summary(seconds=0.02)
    over.upstream_seconds = 0.03
    telemetry.route("things").finished(finished_call(), over)
    assert metric(telemetry, 'sidecar_overhead_seconds_sum{endpoint="things"}') == 0


def test_a_moved_breaker_is_in_the_log(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        telemetry.breaker_moved(Breaker("store"), "half_open", "open")
    (record,) = caplog.records
    assert record.__dict__["fields"] == {"service": "store", "from": "half_open", "to": "open"}
    assert record.levelname == "WARNING"


async def test_events_reach_a_listener(telemetry: Telemetry) -> None:
    listening = telemetry.events.listen()
    assert listening
    route, target = telemetry.route("things"), telemetry.target("things", "store")
    telemetry.breaker_moved(Breaker("store"), "closed", "open")
    target.retried(finished_call(), "timeout")
    target.rested(3.0, "throttled")
    route.fell_back(finished_call(), "store", "spare", "timeout")
    route.finished(finished_call(status=503, attempts=0), summary(outcome="circuit_open"))
    route.finished(finished_call(), summary())
    route.finished(finished_call(status=503, attempts=0), summary())  # a static link
    route.finished(finished_call(status=499, attempts=0), summary(outcome="caller_left"))
    telemetry.reloaded("success", 2, kept=3)
    heard = told(await listening.frames())
    assert [event["event"] for event in heard] == ["breaker", "retry", "rest", "fallback", "refusal", "reload"]
    assert heard[4]["outcome"] == "circuit_open"
    assert heard[5]["kept"] == 3
    listening.close()
    assert not telemetry.events.listeners


async def test_a_refusal_is_told_with_what_its_caller_got(telemetry: Telemetry) -> None:
    listening = telemetry.events.listen()
    assert listening
    for call in (finished_call(status=503, attempts=0), finished_call(code="UNAVAILABLE", attempts=0)):
        telemetry.route("things").finished(call, summary(outcome="circuit_open"))
    http, grpc = told(await listening.frames())
    assert (http["status_code"], "grpc_code" in http) == (503, False)
    assert (grpc["grpc_code"], "status_code" in grpc) == ("UNAVAILABLE", False)
    listening.close()
