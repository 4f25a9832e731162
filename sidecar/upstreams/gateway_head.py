"""The request head as c-gateway reads it.

It takes a request with one `read` of at most 65,535 bytes and knows nothing of
framing but where the head ends. It finds its fields by their exact spelling:
`x-tenant-id`, which HTTP says is the same, is no tenant to it. Whatever belongs to
one connection only means nothing to it, and is not sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.call import Facts, Sign, What
from sidecar.errors import UpstreamError
from sidecar.http1.fields import HOP_BY_HOP
from sidecar.upstreams.request_head import HeadWriter

if TYPE_CHECKING:
    from sidecar.call import Call, Header

MOST = 65_535
"""Bytes of a request that c-gateway reads; what is behind them it never sees."""

_SPELLED = {
    name.lower(): name
    for name in (
        b"Accept",
        b"Accept-Encoding",
        b"Accept-Language",
        b"Authorization",
        b"Cache-Control",
        b"Content-Encoding",
        b"Content-Length",
        b"Content-Type",
        b"Cookie",
        b"Host",
        b"Idempotency-Key",
        b"Last-Event-ID",
        b"Origin",
        b"Referer",
        b"User-Agent",
        b"Via",
        b"X-API-Key",
        b"X-Correlation-ID",
        b"X-Forwarded-For",
        b"X-Forwarded-Host",
        b"X-Forwarded-Proto",
        b"X-Request-ID",
        b"X-Tenant-ID",
        b"X-Trace-ID",
        b"X-User-ID",
        b"baggage",
        b"traceparent",
        b"tracestate",
    )
}
_UNHEARD = HOP_BY_HOP | {b"expect"}


def too_large(size: str) -> UpstreamError:
    """It cannot carry the call; nothing has been sent."""
    detail = f"{size} bytes with its head, and c-gateway reads {MOST:,}"
    return UpstreamError(Facts(What.CANNOT_CARRY, sign=Sign.TOO_LARGE, detail=detail))


def exact(head: bytes) -> bytes:
    """The head with the names that are known in their own spelling, and without the fields of one hop."""
    first, *lines = head.split(b"\r\n")
    written = [first]
    for line in lines:
        name = line.partition(b":")[0]
        lower = name.lower()
        if lower not in _UNHEARD:
            written.append(_SPELLED.get(lower, name) + line[len(name) :])
    return b"\r\n".join(written)


class GatewayHeadWriter(HeadWriter):
    """Writes request heads for c-gateway. Raises `UpstreamError` where head and body are too much for it."""

    __slots__ = ()

    def write(self, call: Call, *, length: int | None, chunked: bool) -> bytes:
        head = exact(super().write(call, length=length, chunked=chunked))
        size = len(head) + (length or 0)
        if size > MOST:
            raise too_large(f"{size:,}")
        return head

    def check(self, path: bytes, *further: Header) -> bytes:
        return exact(super().check(path, *further))
