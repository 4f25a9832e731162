"""Traces begin, change and end with what the policy file says."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sidecar.telemetry.log_writer import LogWriter
from sidecar.telemetry.start import telemetry_to
from sidecar.telemetry.tracing import LAST_SPANS, TURN, Tracing
from tests.kit.caller import PATIENCE
from tests.kit.finished_calls import finished_call, summary
from tests.kit.otlp import collecting, hang

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.telemetry.observers import Telemetry


@pytest.fixture
def telemetry() -> Telemetry:
    fd = os.open(os.devnull, os.O_WRONLY)
    writer = LogWriter(fd)
    os.close(fd)
    writer.close()
    return telemetry_to(writer, version="1.2.3")


@pytest.fixture
async def tracing(telemetry: Telemetry) -> AsyncIterator[Tracing]:
    made = Tracing(telemetry, "1.2.3")
    yield made
    await made.aclose()


def call(telemetry: Telemetry) -> None:
    watch, called = telemetry.route("things"), finished_call(attempts=0)
    watch.started(called)
    watch.finished(called, summary())


def counted(telemetry: Telemetry) -> dict[str, int]:
    return {labels[0]: number.value for labels, number in telemetry.metrics.spans.children.items()}


async def test_off_a_call_has_no_span_and_nothing_is_counted(telemetry: Telemetry, tracing: Tracing) -> None:
    await tracing.become("")
    called = finished_call()
    telemetry.route("things").started(called)
    assert called.span is None
    assert counted(telemetry) == {}


async def test_on_calls_are_traced_and_what_waits_at_the_end_is_sent(telemetry: Telemetry, tracing: Tracing) -> None:
    async with collecting() as collector:
        await tracing.become(collector.url)
        assert counted(telemetry) == {"exported": 0, "failed": 0, "dropped": 0}
        call(telemetry)
        await tracing.aclose()
        assert [span.name for span in collector.taken] == ["POST things"]
        assert counted(telemetry) == {"exported": 1, "failed": 0, "dropped": 0}
    assert telemetry.spans is None


async def test_the_same_address_again_changes_nothing(telemetry: Telemetry, tracing: Tracing) -> None:
    async with collecting() as collector:
        await tracing.become(collector.url)
        before = telemetry.spans
        await tracing.become(collector.url)
        assert telemetry.spans is before
        await tracing.aclose()


async def test_another_address_gets_what_ends_from_then_on_and_the_old_one_what_had(
    telemetry: Telemetry, tracing: Tracing
) -> None:
    async with collecting() as old, collecting() as new:
        await tracing.become(old.url)
        under_way = finished_call(attempts=0)
        watch = telemetry.route("things")
        watch.started(under_way)
        call(telemetry)
        await tracing.become(new.url)
        watch.finished(under_way, summary())
        (first,) = await old.spans(1)
        await tracing.aclose()
        (second,) = await new.spans(1)
    assert first.resource["service.instance.id"] == second.resource["service.instance.id"]


async def test_taken_away_calls_under_way_end_without(telemetry: Telemetry, tracing: Tracing) -> None:
    async with collecting() as collector:
        await tracing.become(collector.url)
        called, watch = finished_call(attempts=0), telemetry.route("things")
        watch.started(called)
        await tracing.become("")
        watch.finished(called, summary())
        assert telemetry.spans is None


async def test_a_collector_that_has_hung_for_long_is_not_waited_for(
    telemetry: Telemetry, tracing: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.telemetry.tracing.LAST_SPANS", 60.0)
    monkeypatch.setattr("sidecar.telemetry.otlp.Delivery.awaited", 61.0)
    async with collecting(hang) as collector, asyncio.timeout(PATIENCE):
        await tracing.become(collector.url)
        call(telemetry)
        await tracing.aclose()


async def test_a_collector_that_hangs_holds_the_end_up_no_longer_than_it_says(
    telemetry: Telemetry, tracing: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.telemetry.tracing.LAST_SPANS", 0.05)
    async with collecting(hang) as collector:
        await tracing.become(collector.url)
        call(telemetry)
        await tracing.aclose()
        await collector.until(lambda: collector.requests == 1)
    assert LAST_SPANS == 2.0


async def test_a_variable_that_makes_no_sense_costs_the_traces_and_is_said(
    telemetry: Telemetry, tracing: Tracing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    await tracing.become("http://127.0.0.1:1")
    assert telemetry.spans is None
    assert "calls are not traced: max_queue_size must be" in caplog.text


async def test_the_sdk_s_own_switch_counts(
    telemetry: Telemetry, tracing: Tracing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    await tracing.become("http://127.0.0.1:1")
    assert telemetry.spans is None
    assert "OTEL_SDK_DISABLED" in caplog.text


def test_who_does_not_want_traces_does_not_import_opentelemetry() -> None:
    script = (
        "import sys\n"
        "import sidecar.daemon, sidecar.cli.run\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('opentelemetry', 'requests')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


async def test_while_spans_are_sent_calls_get_python_s_lock_sooner(tracing: Tracing) -> None:
    """Measured: see `TURN`. It counts for the whole process, so it ends with the traces."""
    by_itself = sys.getswitchinterval()
    assert by_itself > TURN
    async with collecting() as collector:
        await tracing.become(collector.url)
        assert sys.getswitchinterval() == pytest.approx(TURN)
        await tracing.become("")
        assert sys.getswitchinterval() == pytest.approx(by_itself)
        await tracing.become(collector.url)
        await tracing.aclose()
    assert sys.getswitchinterval() == pytest.approx(by_itself)
