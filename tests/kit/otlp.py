"""A collector: a real HTTP server for `POST /v1/traces` that decodes what OpenTelemetry's exporters send.

async with collecting() as collector:
    async with running(policy + collector.policy) as sidecar: ...
    spans = await collector.spans(2)

It does to each request what comes next in `behaves`, to those behind the last one what that one says.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.kit.caller import PATIENCE
from tests.kit.closing import close

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

    Behaviour = Callable[[asyncio.StreamWriter], Awaitable[bool]]
    """Answers, or does not; whether the batch was taken."""

KINDS = {trace_pb2.Span.SPAN_KIND_SERVER: "server", trace_pb2.Span.SPAN_KIND_CLIENT: "client"}
STATES = {trace_pb2.Status.STATUS_CODE_UNSET: "unset", trace_pb2.Status.STATUS_CODE_ERROR: "error"}


@dataclass
class Span:
    """A span as it came. Ids are in hex, times in nanoseconds."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    start: int
    end: int
    status: str
    message: str
    state: str
    said: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    resource: dict[str, Any]
    scope: tuple[str, str]

    @property
    def traceparent(self) -> str:
        """What the sidecar says to an upstream during this attempt."""
        return f"00-{self.trace_id}-{self.span_id}-01"


async def ok(writer: asyncio.StreamWriter) -> bool:
    answer(writer, 200, ExportTraceServiceResponse().SerializeToString())
    return True


async def busy(writer: asyncio.StreamWriter) -> bool:
    answer(writer, 503, b"", "Retry-After: 0")
    return False


async def hang(_writer: asyncio.StreamWriter) -> bool:
    """Until the other side leaves."""
    return False


async def reset(writer: asyncio.StreamWriter) -> bool:
    writer.transport.abort()
    return False


def refuse(status: int, *fields: str) -> Behaviour:
    async def refused(writer: asyncio.StreamWriter) -> bool:
        answer(writer, status, b"no", *fields)
        return False

    return refused


def partial(rejected: int, why: str = "") -> Behaviour:
    async def took_some(writer: asyncio.StreamWriter) -> bool:
        left = ExportTracePartialSuccess(rejected_spans=rejected, error_message=why)
        answer(writer, 200, ExportTraceServiceResponse(partial_success=left).SerializeToString())
        return True

    return took_some


def answer(writer: asyncio.StreamWriter, status: int, body: bytes, *fields: str) -> None:
    lines = (f"HTTP/1.1 {status} Said", "Content-Type: application/x-protobuf", f"Content-Length: {len(body)}", *fields)
    writer.write("\r\n".join((*lines, "", "")).encode() + body)


@dataclass
class Collector:
    """What came, and how it behaves."""

    port: int = 0
    behaves: list[Behaviour] = field(default_factory=lambda: [ok])
    taken: list[Span] = field(default_factory=list)
    requests: int = 0
    fields: list[dict[str, str]] = field(default_factory=list)
    """The header of each request, lower-case names; `path` is its target."""
    connections: set[asyncio.StreamWriter] = field(default_factory=set)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def policy(self) -> str:
        """A table of a policy file."""
        return f'\n[telemetry]\notlp = "{self.url}"\n'

    async def until(self, holds: Callable[[], bool]) -> None:
        """Until it has heard so much."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._heard.clear()
                await self._heard.wait()

    async def spans(self, count: int) -> list[Span]:
        """So many spans, those that began first before the others, a server's before its clients'."""
        await self.until(lambda: len(self.taken) >= count)
        assert len(self.taken) == count, [span.name for span in self.taken]
        return sorted(self.taken, key=lambda span: (span.start, span.kind == "client"))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self.connections.discard(writer)
            self._heard.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(fields["content-length"]))
                if fields.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                self.fields.append({**fields, "path": head[0].split(" ")[1]})
                behaviour = self.behaves[min(self.requests, len(self.behaves) - 1)]
                self.requests += 1
                if await behaviour(writer):
                    self.taken += decoded(body)
                self._heard.set()
                await writer.drain()


def decoded(body: bytes) -> list[Span]:
    """The spans of one batch."""
    return [
        Span(
            name=span.name,
            kind=KINDS[span.kind],
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            status=STATES[span.status.code],
            message=span.status.message,
            state=span.trace_state,
            said=_values(span.attributes),
            events=[(event.name, _values(event.attributes)) for event in span.events],
            resource=_values(of_resource.resource.attributes),
            scope=(of_scope.scope.name, of_scope.scope.version),
        )
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")


@asynccontextmanager
async def collecting(*behaves: Behaviour) -> AsyncIterator[Collector]:
    """A collector that listens."""
    collector = Collector()
    if behaves:
        collector.behaves = list(behaves)
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0)
    collector.port = server.sockets[0].getsockname()[1]
    try:
        yield collector
    finally:
        await close(server)  # an exporter's thread connects when it likes
        for writer in collector.connections:
            writer.transport.abort()
        await asyncio.sleep(0)  # an aborted transport is closed by the next turn
        await collector.until(lambda: not collector.connections)
