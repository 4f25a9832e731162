"""Rates and latencies, with numbers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.call import Step
from sidecar.telemetry.lines import Timestamp
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.pulse import TOTAL, Counts, Rates, counted, latencies, nearest_rank, summed
from sidecar.telemetry.timeline import Timeline
from tests.kit.finished_calls import finished_call, summary

if TYPE_CHECKING:
    from sidecar.call import Call, Summary
    from sidecar.telemetry.timeline import Finished


@pytest.mark.parametrize(
    ("values", "percent", "told"),
    [
        ([], 50, None),
        ([3.0], 50, 3.0),
        ([3.0], 99, 3.0),
        ([1.0, 2.0], 50, 1.0),
        ([1.0, 2.0], 95, 2.0),
        ([15.0, 20.0, 35.0, 40.0, 50.0], 50, 35.0),
        ([15.0, 20.0, 35.0, 40.0, 50.0], 95, 50.0),
        ([float(number) for number in range(1, 101)], 50, 50.0),
        ([float(number) for number in range(1, 101)], 95, 95.0),
        ([float(number) for number in range(1, 101)], 99, 99.0),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], percent: int, told: float | None) -> None:
    assert nearest_rank(values, percent) == told


def ended(name: str = "i", *, route: str = "things", status: int = 200, code: str | None = None) -> Call:
    call = finished_call(name=name, status=status, code=code)
    call.route = route
    return call


def remembered(*calls: tuple[Call, Summary]) -> list[Finished]:
    timeline = Timeline(lambda: 0.0, Timestamp())
    for call, heard in calls:
        timeline.add(call, heard)
    return timeline.newest()


async def test_counts_are_what_was_added_since_the_last_look_and_add_up() -> None:
    metrics = Metrics(version="1")
    route, rates = metrics.route("r"), Rates(metrics)
    total = Counts()
    for status, refused in ((200, 0), (503, 0), (408, 0), (404, 0), (429, 1)):
        route.inflight.value += 1
        route.refused.value += refused
        route.finished(b"GET", status, 0.1, 0.0)
        total = summed([total, *(await rates.look()).values()])
    assert total == Counts(calls=5, errors=2, refused=1)
    assert await rates.look() == {}
    assert total.calls == sum(number.value for number in metrics.requests.children.values())


async def test_of_grpc_the_codes_that_are_no_caller_s_fault_are_errors() -> None:
    metrics = Metrics(version="1")
    for code in ("OK", "NOT_FOUND", "CANCELLED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL"):
        metrics.route("r").finished_grpc("other", code, 0.1, 0.0)
    assert await Rates(metrics).look() == {"r": Counts(calls=6, errors=2)}


async def test_a_grpc_call_that_met_no_route_is_the_caller_s_fault_as_over_http() -> None:
    metrics = Metrics(version="1")
    for name in ("r", "_none"):
        metrics.route(name).finished_grpc("other", "UNIMPLEMENTED", 0.1, 0.0)
    assert await Rates(metrics).look() == {"r": Counts(calls=1, errors=1), "_none": Counts(calls=1)}
    assert counted(remembered((ended(route="", code="UNIMPLEMENTED"), summary())))["_none"].errors == 0


async def test_retries_and_fallbacks_are_by_the_route_they_are_of() -> None:
    metrics = Metrics(version="1")
    metrics.target("r", "a").retried("timeout")
    metrics.target("s", "a").retried("timeout")
    metrics.route("r").count(metrics.fallbacks, "r", "a", "b", "timeout")
    assert await Rates(metrics).look() == {"r": Counts(retries=1, fallbacks=1), "s": Counts(retries=1)}


async def test_a_route_that_was_dropped_and_has_come_again_counts_from_nothing() -> None:
    metrics = Metrics(version="1")
    rates = Rates(metrics)
    for calls in (5, 3, 4):
        for _ in range(calls):
            metrics.route("r").finished(b"GET", 200, 0.1, 0.0)
        assert (await rates.look())["r"].calls == calls
        metrics.retire(["r"], [])
    assert await rates.look() == {}
    assert rates.series == 0


async def test_what_fits_into_no_more_series_is_counted_once_and_named_other() -> None:
    metrics = Metrics(version="1", max_series=0)
    for name in ("r", "s"):
        metrics.route(name).finished(b"GET", 200, 0.1, 0.0)
    assert await Rates(metrics).look() == {"other": Counts(calls=2)}


@given(st.lists(st.tuples(st.sampled_from("rs"), st.sampled_from([200, 404, 408, 500, 503]), st.booleans())))
def test_however_calls_and_looks_alternate_nothing_is_counted_twice_or_lost(
    steps: list[tuple[str, int, bool]],
) -> None:
    async def play() -> tuple[Counts, Metrics]:
        metrics, total = Metrics(version="1"), Counts()
        rates = Rates(metrics)
        for name, status, look in steps:
            metrics.route(name).finished(b"GET", status, 0.1, 0.0)
            if look:
                total = summed([total, *(await rates.look()).values()])
        return summed([total, *(await rates.look()).values()]), metrics

    total, metrics = asyncio.run(play())
    assert total.calls == len(steps)
    assert total.errors == sum(
        number.value for (_, _, error), number in metrics.errors.children.items() if error == "server"
    )


def test_latencies_are_by_route_and_of_all_together() -> None:
    calls = remembered(
        *((ended(route="r"), summary(seconds=seconds)) for seconds in (0.1, 0.2, 0.3)),
        (ended(route="s"), summary(seconds=4.0)),
        (ended(route=""), summary(seconds=0.0)),
    )
    told = latencies(calls)
    assert told["r"] == {"p50": 0.2, "p95": 0.3, "p99": 0.3, "ttfb_p50": 0.1, "ttfb_p95": 0.15}
    assert told["_none"] == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "ttfb_p50": None, "ttfb_p95": None}
    assert (told[TOTAL]["p50"], told[TOTAL]["p99"]) == (0.2, 4.0)


def test_how_long_a_tunnel_was_open_is_no_latency() -> None:
    told = latencies(remembered((ended(status=101), summary(seconds=600.0))))["things"]
    assert (told["p50"], told["ttfb_p50"]) == (None, 300.0)


def test_remembered_calls_are_counted_by_what_their_steps_tell() -> None:
    steps = [
        Step("attempt", "a", "timeout", 0.0, 1.0),
        Step("wait", "a", "timeout", 1.0, 0.1),
        Step("attempt", "a", "timeout", 1.1, 1.0),
        Step("skip", "b", "circuit_open", 2.1, 0.0),
        Step("attempt", "c", "ok", 2.1, 1.0),
    ]
    refused = ended(status=429)
    refused.attempts = 0
    calls = remembered(
        (ended(), summary(steps=steps)),
        (refused, summary(outcome="rate_limited")),
        (ended(status=503), summary(outcome="server_error")),
        (ended(code="UNAVAILABLE"), summary(outcome="grpc_lost")),
    )
    assert counted(calls) == {"things": Counts(calls=4, errors=2, refused=1, retries=1, fallbacks=2)}
