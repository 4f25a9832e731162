"""Traces as somebody runs them: switched on and off by the file, counted, and nobody's trouble when a collector is."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.commands import SIDECAR
from tests.kit.otlp import collecting, hang
from tests.kit.process import sidecar_process
from tests.kit.running import FREE, one, request, running, with_listeners
from tests.kit.scripted import OK, scripted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.running import Running

pytestmark = pytest.mark.usefixtures("spans_at_once")


async def counted(sidecar: Running, result: str) -> int | None:
    """What the metric says; None where it has no such series."""
    for line in (await sidecar.ask("/metrics")).body.decode().splitlines():
        if line.startswith(f'sidecar_spans_total{{result="{result}"}}'):
            return int(line.rpartition(" ")[2])
    return None


def pointed(upstream: str, collector: str) -> str:
    return FREE + one(upstream, path="/a") + f'\n[telemetry]\notlp = "{collector}"\n'


async def test_a_reload_switches_traces_on_over_and_off() -> None:
    async with (
        collecting() as first,
        collecting() as second,
        scripted(OK) as a,
        running(one(a.url, path="/a")) as sidecar,
    ):
        await sidecar.ask("/a")
        assert await counted(sidecar, "exported") is None
        for collector in (first, second):
            sidecar.file.write_text(pointed(a.url, collector.url))
            await sidecar.daemon.reload()
            await sidecar.ask("/a")
            await collector.until(lambda c=collector: any(one.kind == "client" for one in c.taken))  # type: ignore[misc]
        at = second.url.removeprefix("http://")
        assert (await sidecar.log.line(lambda line: line.get("otlp") == at))["message"] == "calls are traced"
        same = pointed(a.url, second.url) + 'log_level = "warning"\n'
        sidecar.file.write_text(same)
        spans = sidecar.daemon._telemetry.spans
        await sidecar.daemon.reload()
        assert sidecar.daemon._telemetry.spans is spans
        sidecar.file.write_text(FREE + one(a.url, path="/a"))
        await sidecar.daemon.reload()
        await sidecar.ask("/a")
        assert sidecar.daemon._telemetry.spans is None
        sent = [a.fields(number)["traceparent"] for number in range(3)]
    assert [span.traceparent for span in (*first.taken, *second.taken) if span.kind == "client"] == sent[1:]


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_a_collector_calls_go_on_and_health_says_nothing(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    async with collecting(hang) as collector, scripted(OK) as a:
        url = collector.url if hangs else f"http://127.0.0.1:{free_port()}"
        async with running(pointed(a.url, url)) as sidecar:
            assert [(await sidecar.ask("/a")).status for _ in range(3)] == [200] * 3
            line = await sidecar.log.saying("spans are lost")
            assert json.loads((await sidecar.ask("/health")).body)["status"] == "healthy"
            assert (await counted(sidecar, "failed") or 0) > 0
    assert line["why"] == ("it did not answer in time" if hangs else "Connection refused")
    assert [said for said in sidecar.log.lines if said.get("logger", "").startswith("opentelemetry")] == []


async def test_a_process_sends_its_last_spans_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    async with collecting() as collector, scripted(OK) as a:
        policy = tmp_path / "sidecar.toml"
        policy.write_text(with_listeners(pointed(a.url, collector.url)))
        async with sidecar_process(policy) as process:
            caller = await process.caller()
            caller.send(request("/a", "Connection: close"))
            assert (await caller.answer()).status == 200
            await caller.close()
            process.signal(signal.SIGTERM)
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0
        server, client = await collector.spans(2)
    assert client.traceparent == a.fields()["traceparent"]
    assert server.resource["service.name"] == "shop"


async def test_a_hanging_collector_does_not_hold_a_process_up(tmp_path: Path) -> None:
    async with collecting(hang) as collector, scripted(OK) as a:
        policy = tmp_path / "sidecar.toml"
        policy.write_text(with_listeners(pointed(a.url, collector.url)))
        async with sidecar_process(policy) as process:
            caller = await process.caller()
            caller.send(request("/a", "Connection: close"))
            await caller.answer()
            await caller.close()
            await collector.until(lambda: collector.requests == 1)
            process.signal(signal.SIGTERM)
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0  # the SDK by itself waits for 30 s


async def test_a_program_under_exec_is_traced_to_its_end(tmp_path: Path) -> None:
    asks = "import os, urllib.request; urllib.request.urlopen(os.environ['SIDECAR_HTTP'] + '/a')"
    async with collecting() as collector, scripted(OK) as a:
        policy = tmp_path / "sidecar.toml"
        policy.write_text(with_listeners(pointed(a.url, collector.url)))
        process = await asyncio.create_subprocess_exec(
            SIDECAR, "exec", "-c", str(policy), "--", sys.executable, "-c", asks,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            _, log = await process.communicate()
        assert process.returncode == 0, log
        await collector.spans(2)
