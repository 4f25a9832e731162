"""What c-gateway reads and what it writes, byte for byte.

It reads once and takes what came for the whole request: a body that is still on its way
does not exist for it. No framing is looked at, and a NUL ends everything, as strings in
C do. What it writes has no Date and no Server, and its errors hold the caller's own
values as they came: a quote in one makes the JSON invalid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ONE_READ = 65_535
"""Bytes that a request has at most, head and body."""
ID_KEPT = 63
"""Bytes of a tenant, trace or request id; the rest is cut off without a word."""
JSON = b"application/json"
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"

PHRASES: Mapping[int, bytes] = {
    200: b"OK",
    201: b"Created",
    400: b"Bad Request",
    401: b"Unauthorized",
    404: b"Not Found",
    409: b"Conflict",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One read, taken apart. `method` and `path` are empty if there is no request line."""

    raw: bytes
    method: bytes
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def value(self, name: bytes) -> bytes | None:
        """Of the last header that is spelt exactly so."""
        found = [value for key, value in self.headers if key == name]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class Context:
    """The ids that every error tells back, each as much of it as is kept."""

    request_id: bytes = b""
    trace_id: bytes = b""
    tenant_id: bytes = b""

    @classmethod
    def of(cls, asked: Asked) -> Context:
        """From the headers; the request's own id is in the body, which has not been read yet."""
        trace, tenant = asked.value(b"X-Trace-ID"), asked.value(b"X-Tenant-ID")
        return cls(trace_id=(trace or b"")[:ID_KEPT], tenant_id=(tenant or b"")[:ID_KEPT])


NO_CONTEXT = Context()


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out, one write a piece. `refused`: one of the gateway's own errors.

    `delay` is the seconds that the Router takes; `event` what the streams of a tenant
    hear of it: tenant, name, data. With `streams` the connection becomes one of that tenant.
    """

    status: int
    pieces: tuple[bytes, ...]
    refused: bool = False
    delay: float = 0.0
    event: tuple[bytes, bytes, bytes] | None = None
    streams: bytes = b""


def parse(raw: bytes) -> Asked:
    """One read as the gateway sees it. Never fails."""
    head, _, body = raw.partition(b"\0")[0].partition(b"\r\n\r\n")
    lines = [line for line in re.split(rb"[\r\n]+", head) if line]
    words = [word for word in lines[0].split(b" ") if word] if lines else []
    if len(words) < 2:
        return Asked(raw, b"", b"", (), body)
    pairs = (line.partition(b":") for line in lines[1:])
    headers = tuple((name, value.lstrip(b" \t")) for name, _, value in pairs)
    return Asked(raw, words[0], words[1], headers, body)


def answer(status: int, body: bytes, kind: bytes = JSON) -> Answer:
    """Head and body, in two writes."""
    closes = b"" if kind == PROMETHEUS else b"Connection: close\r\n"
    head = b"%b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n" % (status_line(status), kind, len(body), closes)
    return Answer(status, (head, body) if body else (head,))


def refusal(status: int, code: bytes, message: bytes, context: Context) -> Answer:
    """An error of the gateway's own."""
    head, body = answer(status, error(code, message, b"{}", context)).pieces
    return Answer(status, (head, body), refused=True)


def overloaded(context: Context) -> Answer:
    """The one answer that tells its length twice."""
    body = error(b"service_overloaded", b"Router is overloaded, please retry later", b"{}", context)
    head = (
        b"%b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nRetry-After: 30\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n" % (status_line(503), len(body), len(body))
    )
    return Answer(503, (head, body), refused=True)


def limited(endpoint: bytes, limit: int, window: int, now: int, context: Context) -> Answer:
    """429. It goes out in one write, does not say that it closes, and tells the whole window each time."""
    details = b'{"endpoint":"%b","limit":%d,"retry_after_seconds":%d}' % (endpoint, limit, window)
    body = error(b"rate_limit_exceeded", b"Rate limit exceeded for endpoint " + endpoint, details, context)
    head = (
        b"%b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-RateLimit-Limit: %d\r\n"
        b"X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: %d\r\nRetry-After: %d\r\n\r\n"
        % (status_line(429), len(body), limit, now + window, window)
    )
    return Answer(429, (head + body,), refused=True)


def stream(tenant: bytes) -> Answer:
    """The beginning of a tenant's stream of events; the connection stays open."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        b"Connection: keep-alive\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
    )
    return Answer(200, (head, b": connected\n\n"), streams=tenant)


def error(code: bytes, message: bytes, details: bytes, context: Context) -> bytes:
    """The body of an error. Nothing in it is escaped."""
    return (
        b'{"ok":false,"error":{"code":"%b","message":"%b","intake_error_code":null,"details":%b},'
        b'"context":{"request_id":"%b","trace_id":"%b","tenant_id":"%b"}}'
        % (code, message, details, context.request_id, context.trace_id, context.tenant_id)
    )


def status_line(status: int) -> bytes:
    """`HTTP/1.1` to everybody, whatever they speak."""
    return b"HTTP/1.1 %d %b" % (status, PHRASES[status])
