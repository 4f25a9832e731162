"""Sends spans to a collector by OTLP over HTTP, in a thread of its own.

The SDK's batches and its exporter do the work; what is added here is that nobody but the spans suffers from a
collector that is gone, slow, silent or says no: what waits is bounded and what is lost is counted, its beginning and
its end are said once in our own log, and the process never waits for it longer than it wants to.

Spans come by `take` on the loop's thread; the exporter works on the SDK's. Numbers that both know are written by one
of them only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from sidecar.access import is_loopback
from sidecar.telemetry.foreign_log import keep_quiet
from sidecar.telemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    Count = Callable[[str, int], None]

log = logging.getLogger("sidecar")

PATH = "/v1/traces"

WAITING = 2048
"""Spans that wait at most, where `OTEL_BSP_MAX_QUEUE_SIZE` says nothing (OpenTelemetry's default)."""

LONGEST_ANSWER = 64 * 1024
"""Bytes of a collector's answer that are read."""

PATIENCE = 5.0
"""Seconds for which the body of an answer is read."""

LONGEST_REASON = 200
"""Characters of a collector's words that are logged."""

SAY_AGAIN = 60.0
"""Seconds between two lines that say that spans are lost."""


class Refused(Exception):  # noqa: N818 - not an error of ours
    """An answer that the exporter would take for a good one, or would wait to ask again after."""


class Session(requests.Session):
    """The exporter's connection. `why` says in words of ours what went wrong last, `rejected` how many spans of a
    batch the collector did not want. While it is `ending`, nothing is tried again, and nothing more after a failure.
    """

    def __init__(self, *, proxies: bool) -> None:
        super().__init__()
        self.trust_env = proxies
        self.ending = False
        self._hopeless = False
        self.why = ""
        self.rejected = 0

    def request(self, *args: Any, **more: Any) -> requests.Response:
        """Reads no more of the answer than it needs. Raises what `requests` does, and `Refused`."""
        if self._hopeless:
            raise Refused
        try:
            response = super().request(*args, **{**more, "stream": True})
            with response:
                body = _beginning(response)
        except OSError as error:  # those of `requests` are, too
            self.why = _told(error)
            if self.ending:
                self._hopeless = True
                raise Refused from None
            raise
        status = response.status_code
        if status == requests.codes.ok:
            self._partial(body)
        elif not 200 <= status < 300:
            self.why = f"it answered {status}"
            self._hopeless = self.ending
            if status < 400 or self.ending:
                raise Refused
        return response

    def close(self) -> None:
        """At once: urllib3's pools close with the last that knows them, and an error that is kept knows its pool."""
        for adapter in self.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
                    for key in manager.pools.keys():  # noqa: SIM118 - no mapping that could be iterated
                        manager.pools[key].close()
        super().close()

    def _partial(self, body: bytes) -> None:
        """Some of the batch may have been refused (OTLP specification, "Partial Success")."""
        try:
            partial = ExportTraceServiceResponse.FromString(body).partial_success
        except DecodeError:  # an answer in JSON, or of something that is no collector: it said 200
            return
        self.rejected = max(partial.rejected_spans, 0)
        if self.rejected:
            self.why = f"it took them but for {self.rejected}: {partial.error_message[:LONGEST_REASON]}"


class Exporter(SpanExporter):
    """The SDK's exporter, heard: `seen` counts the spans that came out of the queue."""

    def __init__(self, exporter: SpanExporter, session: Session, to: str, count: Count) -> None:
        self._exporter = exporter
        self._session = session
        self._to = to
        self._count = count
        self._lost = 0
        self._said = float("-inf")
        self._told = False
        self._known = 0
        """Of `dropped`, those that have been said."""
        self.failing = False
        self.seen = 0
        self.dropped = 0
        """Spans that never came here, since too many waited; written by who drops them."""
        self.began: float | None = None
        """When the batch that is on its way left."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.began = time.monotonic()
        try:
            return self._export(spans)
        finally:
            self.began = None

    def _export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.seen += len(spans)
        self._session.rejected, self._session.why = 0, ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - the SDK's thread must go on, whatever its exporter meets
            result, self._session.why = SpanExportResult.FAILURE, type(error).__name__
        lost = len(spans) if result is not SpanExportResult.SUCCESS else min(self._session.rejected, len(spans))
        self._count("failed", lost)
        self._count("exported", len(spans) - lost)
        dropped = self.dropped
        if dropped > self._known and not lost:
            self._session.why = "they come faster than it takes them"
        lost += dropped - self._known
        self._known = dropped
        self._lost += lost
        self._say(lost)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def _say(self, lost: int) -> None:
        """The beginning of a loss, when the last one has been said long ago: else of one that lasts as soon as it has;
        and the end of what was said.
        """
        if lost:
            self.failing = True
            if not self._told and time.monotonic() - self._said >= SAY_AGAIN:
                self._told, self._said = True, time.monotonic()
                why = self._session.why or "they could not be sent"
                log.warning("spans are lost", extra={"fields": {"otlp": self._to, "why": why}})
        elif self.failing:
            self.failing = False
            if self._told:
                self._told = False
                log.info("spans arrive again", extra={"fields": {"otlp": self._to, "lost": self._lost}})
                self._lost = 0


class Delivery:
    """Traces on their way to one collector. Raises `ValueError` for variables of OpenTelemetry's that make no sense.

    `count` is told `exported`, `failed` or `dropped` and how many, from any thread.
    """

    def __init__(self, url: str, *, version: str, instance: str, count: Count) -> None:
        keep_quiet()
        parts = urlsplit(url)
        host = parts.hostname or ""
        session = self._session = Session(proxies=not is_loopback(f"[{host}]" if ":" in host else host))
        self.to = parts.netloc.rpartition("@")[2]
        quiet = NoOpMeterProvider()
        exporter = OTLPSpanExporter(endpoint(url), session=session, meter_provider=quiet)
        self._exporter = Exporter(exporter, session, self.to, count)
        self._most = _whole(OTEL_BSP_MAX_QUEUE_SIZE, WAITING)
        self._processor = BatchSpanProcessor(self._exporter, self._most, meter_provider=quiet)
        provider = self._provider = TracerProvider(
            resource=_resource(version, instance), shutdown_on_exit=False, meter_provider=quiet
        )
        provider.add_span_processor(self._processor)
        self._count = count
        self._taken = 0
        self._over = False
        self.spans = Spans(provider.sampler, provider.resource, self.take, version=version)

    def take(self, span: ReadableSpan) -> None:
        """Queue a span; lost, and counted, when too many wait."""
        if self._over or self._taken - self._exporter.seen >= self._most:
            self._exporter.dropped += 1
            self._count("dropped", 1)
            return
        self._taken += 1
        self._processor.on_end(span)

    @property
    def awaited(self) -> float:
        """Seconds for which a batch has been on its way; 0 while none is."""
        began = self._exporter.began
        return 0.0 if began is None else time.monotonic() - began

    def end(self) -> None:
        """Send what waits, then end. Takes as long as the collector does: for a thread that nobody waits for."""
        self._over = True
        self._session.ending = True
        if self._exporter.failing:
            self._exporter.shutdown()  # which ends the wait for its next try
        self._provider.shutdown()
        self._count("dropped", self._taken - self._exporter.seen)


def _beginning(response: requests.Response) -> bytes:
    """Of the body, for at most `PATIENCE`: it may come byte by byte. Its status has come, so that it may break off."""
    body, end = b"", time.monotonic() + PATIENCE
    with contextlib.suppress(HTTPError):
        while len(body) < LONGEST_ANSWER and time.monotonic() < end:
            more = response.raw.read1(LONGEST_ANSWER, decode_content=True)
            if not more:
                break
            body += more
    return body


def endpoint(url: str) -> str:
    """Where spans go: below the collector's address (OTLP specification, "OTLP/HTTP Request"), or there itself."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith(PATH) else path + PATH))


def _resource(version: str, instance: str) -> Resource:
    """Who says it: what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` name, else we ourselves."""
    said = OTELResourceDetector().detect().attributes
    ours = {"service.name": "sidecar", "service.version": version, "service.instance.id": instance}
    return Resource.create({name: value for name, value in ours.items() if name not in said})


def _whole(variable: str, otherwise: int) -> int:
    try:
        return int(os.environ.get(variable, otherwise))
    except ValueError:  # as the SDK does with it
        return otherwise


def _told(error: OSError) -> str:
    """What went wrong, in no words but the system's and ours: the library's may repeat a header's value."""
    if type(error) is OSError and not error.strerror:  # all that `requests` says in this way
        return "a file of certificates or of a key that the environment names is not there"
    if isinstance(error, requests.Timeout):
        return "it did not answer in time"
    inner = list(_within(error))
    if any(isinstance(one, ConnectionResetError) for one in inner):
        return "it closed the connection"
    told = (one.strerror for one in inner if isinstance(one, OSError) and one.strerror)
    return next(told, type(error).__name__)


def _within(error: BaseException, depth: int = 8) -> Iterator[BaseException]:
    """The error and those that it wraps, each library in its own way."""
    yield error
    wrapped = (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__)
    for one in wrapped:
        if isinstance(one, BaseException) and depth:
            yield from _within(one, depth - 1)
            return
