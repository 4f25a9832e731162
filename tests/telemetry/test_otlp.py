"""Spans on their way to a collector, whatever that does."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import threading
import time
import tracemalloc
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from sidecar.telemetry import otlp
from sidecar.telemetry.moves import Moves
from sidecar.telemetry.otlp import Delivery, endpoint
from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.finished_calls import finished_call, summary
from tests.kit.otlp import busy, collecting, hang, ok, partial, refuse, reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.kit.otlp import Behaviour


class Counted:
    """What became of spans, and a delivery to make some."""

    def __init__(self, url: str) -> None:
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.delivery = Delivery(url, version="1.2.3", instance="i-1", count=self._count)

    def _count(self, result: str, spans: int) -> None:
        with self._lock:
            self.counts[result] += spans

    def call(self, calls: int = 1) -> None:
        """So many calls, each of one span."""
        for _ in range(calls):
            call = finished_call(attempts=0)
            self.delivery.spans.begin(call)
            self.delivery.spans.end(call, summary(), "", "", Moves())

    async def until(self, **counts: int) -> None:
        await until(lambda: all(self.counts[name] >= count for name, count in counts.items()))
        assert {name: count for name, count in self.counts.items() if count or name in counts} == counts


class Slow:
    """A collector that takes what it is asked to, when it may."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> bool:
        self.asked.set()
        await self.may.wait()
        return await ok(writer)


async def until(holds: Callable[[], bool]) -> None:
    """Another thread tells nobody."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what is waited for is no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def delivering(url: str) -> AsyncIterator[Counted]:
    counted = Counted(url)
    try:
        yield counted
    finally:
        await asyncio.to_thread(counted.delivery.end)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent at once; a collector that answers at all may take as long as a busy machine does."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(PATIENCE))


@pytest.fixture
def given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the pause after which the SDK would try again."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")


async def test_what_is_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/elsewhere")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with collecting() as collector, delivering(collector.url) as counted:
        counted.call()
        (span,) = await collector.spans(1)
        await counted.until(exported=1)
    assert collector.fields[0]["path"] == "/v1/traces"
    assert collector.fields[0]["content-encoding"] == "gzip"
    assert collector.fields[0]["x-team"] == "blue"
    assert (span.name, span.scope) == ("POST things", ("sidecar", "1.2.3"))
    assert span.resource["service.name"] == "sidecar"
    assert (span.resource["service.version"], span.resource["service.instance.id"]) == ("1.2.3", "i-1")


async def test_the_environment_says_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=9,deployment.environment.name=test")
    async with collecting() as collector, delivering(collector.url) as counted:
        counted.call()
        (span,) = await collector.spans(1)
    told = {name: value for name, value in span.resource.items() if not name.startswith("telemetry.sdk")}
    assert told == {
        "service.name": "shop", "service.version": "9", "deployment.environment.name": "test",
        "service.instance.id": "i-1",
    }  # fmt: skip


async def test_a_busy_collector_gets_them_again(caplog: pytest.LogCaptureFixture) -> None:
    async with collecting(busy, busy, ok) as collector, delivering(collector.url) as counted:
        counted.call()
        await counted.until(exported=1)
    assert collector.requests == 3
    assert caplog.messages == []


async def test_the_beginning_and_the_end_of_a_loss_are_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with collecting(refuse(404), refuse(404), ok) as collector, delivering(collector.url) as counted:
        for failed in (1, 2):
            counted.call()
            await counted.until(failed=failed)
        counted.call()
        await counted.until(failed=2, exported=1)
        await until(lambda: "spans arrive again" in caplog.messages)
    to = collector.url.removeprefix("http://")
    ours = [record for record in caplog.records if record.name == "sidecar"]
    assert [(record.levelname, record.message, record.__dict__["fields"]) for record in ours] == [
        ("WARNING", "spans are lost", {"otlp": to, "why": "it answered 404"}),
        ("INFO", "spans arrive again", {"otlp": to, "lost": 2}),
    ]


async def test_one_that_keeps_changing_its_mind_is_not_told_each_time(caplog: pytest.LogCaptureFixture) -> None:
    flapping = (refuse(400), ok) * 4
    async with collecting(*flapping) as collector, delivering(collector.url) as counted:
        for number in range(8):
            counted.call()
            await counted.until(failed=number // 2 + 1, exported=(number + 1) // 2)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["spans are lost"]


async def test_a_loss_that_lasts_is_said_again_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    answers = (refuse(400), ok, refuse(400), refuse(400), ok)
    async with collecting(*answers) as collector, delivering(collector.url) as sent:
        for failed, exported in ((1, 0), (1, 1), (2, 1)):
            sent.call()
            await sent.until(failed=failed, exported=exported)
        monkeypatch.setattr(otlp, "SAY_AGAIN", 0.0)
        for failed, exported in ((3, 1), (3, 2)):
            sent.call()
            await sent.until(failed=failed, exported=exported)
        await until(lambda: len(caplog.messages) == 4)
    assert caplog.messages == ["spans are lost", "spans arrive again"] * 2
    assert [record.__dict__["fields"].get("lost") for record in caplog.records] == [None, 1, None, 2]


async def test_of_a_collector_that_is_too_slow_it_is_said_that_spans_are_lost(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes each batch, and what comes meanwhile does not fit."""
    caplog.set_level("INFO")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    slow = Slow()
    async with collecting(slow) as collector, delivering(collector.url) as counted:
        counted.call()
        await slow.asked.wait()
        counted.call(5)
        slow.may.set()
        await counted.until(exported=3, dropped=3)
        await until(lambda: len(caplog.messages) == 2)
    assert [(record.message, record.__dict__["fields"].get("why")) for record in caplog.records] == [
        ("spans are lost", "they come faster than it takes them"),
        ("spans arrive again", None),
    ]
    assert caplog.records[1].__dict__["fields"]["lost"] == 3


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"])
async def test_of_a_file_that_is_not_there_it_is_said(
    variable: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/nowhere/hunter2.pem")
    async with delivering(f"https://127.0.0.1:{free_port()}") as counted:
        counted.call()
        await counted.until(failed=1)
        await until(lambda: bool(caplog.records))
    why = caplog.records[0].__dict__["fields"]["why"]
    assert why == "a file of certificates or of a key that the environment names is not there"


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (reset, "it closed the connection"), (hang, "it did not answer in time"),
        (refuse(302, "Location: /login"), "it answered 302"),
        (refuse(401), "it answered 401"), (refuse(503, "Retry-After: 9"), "it answered 503"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("given_up_soon")
async def test_a_collector_that_does_not_want_them(
    behaviour: Callable[..., object], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with collecting(behaviour) as collector, delivering(collector.url) as counted:  # type: ignore[arg-type]
        counted.call(3)
        await counted.until(failed=3)
        await until(lambda: bool(caplog.records))
    assert why in caplog.records[0].__dict__["fields"]["why"]


@pytest.mark.usefixtures("given_up_soon")
async def test_a_collector_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    async with delivering(f"http://user:hunter2@127.0.0.1:{free_port()}") as counted:
        counted.call()
        await counted.until(failed=1)
        await until(lambda: bool(caplog.records))
    assert caplog.records[0].__dict__["fields"]["why"] == "Connection refused"
    assert "hunter2" not in str([record.__dict__ for record in caplog.records])


async def test_what_it_took_in_part_is_counted_so(caplog: pytest.LogCaptureFixture) -> None:
    async with collecting(partial(2, "too old"), ok) as collector, delivering(collector.url) as counted:
        counted.call(3)
        await counted.until(failed=2, exported=1)
        await until(lambda: bool(caplog.records))
    assert caplog.records[0].__dict__["fields"]["why"] == "it took them but for 2: too old"


async def test_an_answer_that_does_not_end_is_not_read_to_its_end() -> None:
    async def endless(writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + bytes(100_000))
        return True

    async with collecting(endless) as collector, delivering(collector.url) as counted:
        counted.call()
        await counted.until(exported=1)


async def test_an_answer_that_comes_byte_by_byte_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "PATIENCE", 0.1)

    async def drips(writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        return True

    async with collecting(drips) as collector, delivering(collector.url) as counted:
        counted.call()
        await counted.until(exported=1)


@pytest.mark.parametrize("answer", [b"5\r\nabc", b"zz\r\n"], ids=["cut", "no chunk"])
async def test_an_answer_that_breaks_off_was_one(answer: bytes) -> None:
    async def cut(writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + answer)
        await writer.drain()
        writer.close()
        return True

    async with collecting(cut) as collector, delivering(collector.url) as counted:
        counted.call()
        await counted.until(exported=1)
        assert collector.requests == 1


async def test_an_answer_that_grows_when_it_is_unpacked_is_not_unpacked_whole() -> None:
    bomb = gzip.compress(bytes(100 << 20), 9)

    async def grows(writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)
        return True

    async with collecting(grows) as collector, delivering(collector.url) as counted:
        tracemalloc.start()
        try:
            counted.call()
            await counted.until(exported=1)
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("behaves", [ok, refuse(429), refuse(400), busy])
async def test_no_connection_is_left_behind(behaves: Behaviour) -> None:
    """Not even until garbage is collected, which the daemon does seldom."""
    gc.disable()
    try:
        async with collecting(behaves) as collector:
            counted = Counted(collector.url)
            counted.call()
            await asyncio.to_thread(counted.delivery.end)
            await until(lambda: not collector.connections)
            assert collector.requests == 1
    finally:
        gc.enable()


async def test_a_key_is_in_no_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A header's value with a line end in it is refused by the client, in words that repeat it."""
    caplog.set_level("DEBUG")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=a%0Ahunter2,hunter2")
    async with collecting() as collector, delivering(collector.url) as counted:
        counted.call()
        await counted.until(failed=1)
        await until(lambda: any(record.message == "spans are lost" for record in caplog.records))
    assert "hunter2" not in str([(record.getMessage(), record.__dict__) for record in caplog.records])
    assert collector.requests == 0


async def test_a_collector_that_hangs_costs_what_does_not_fit_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
    slow = Slow()
    async with collecting(slow) as collector, delivering(collector.url) as counted:
        counted.call()
        await slow.asked.wait()
        counted.call(1000)  # it has not answered when this returns
        assert counted.counts == {"dropped": 980}
        slow.may.set()
        await counted.until(dropped=980, exported=21)


async def test_how_long_a_batch_has_been_on_its_way() -> None:
    slow = Slow()
    async with collecting(slow) as collector, delivering(collector.url) as counted:
        assert counted.delivery.awaited == 0
        counted.call()
        await until(lambda: counted.delivery.awaited > 0.02)
        slow.may.set()
        await counted.until(exported=1)
        await until(lambda: counted.delivery.awaited == 0)


async def test_at_the_end_what_waits_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    async with collecting() as collector:
        counted = Counted(collector.url)
        counted.call(3)
        await asyncio.to_thread(counted.delivery.end)
        assert len(collector.taken) == 3
        counted.call()
    assert counted.counts == {"exported": 3, "dropped": 1, "failed": 0}


async def test_at_the_end_a_dead_collector_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60")
    counted = Counted(f"http://127.0.0.1:{free_port()}")
    counted.call(3)
    before = time.monotonic()
    await asyncio.to_thread(counted.delivery.end)
    assert time.monotonic() - before < PATIENCE  # by itself it would try for 60 s
    assert counted.counts["failed"] == 3


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"), ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many")]
)
def test_a_variable_that_makes_no_sense(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=r"positive|integer"):
        Counted("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://otel.example/base/", "https://otel.example/base/v1/traces"),
        ("http://127.0.0.1:4318/v1/traces", "http://127.0.0.1:4318/v1/traces"),
    ],
)
def test_where_spans_go(url: str, found: str) -> None:
    assert endpoint(url) == found
