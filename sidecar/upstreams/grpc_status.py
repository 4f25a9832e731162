"""What a gRPC status means, as facts: pure, so that each rule is a row of a test.

C-core makes statuses of its own: that no connection came about, that the server
never looked at a stream, that a message was too long. Their text tells them from a
server's, but a server may repeat what another one's client said. So what speaks of a
connection that is gone is believed only while there is none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidecar.call import Facts, Reply, Sign, What

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.call import Header, Headers

PUSHBACK = b"grpc-retry-pushback-ms"
"""How long a server wants to be left alone (gRFC A6)."""

FORBIDDEN = -1.0
"""The wait of an answer that forbids another try."""

_NEVER_READY = re.compile(
    r"failed to connect to all addresses|DNS resolution failed|Domain name not found|empty address"
)
_REFUSED = "Stream removed (RST_STREAM (Received RST_STREAM with error code 7))"
"""REFUSED_STREAM (RFC 9113, section 8.7)."""
SENT_AWAY = "Stream removed (GOAWAY received"
"""A stream above the last one that a GOAWAY names, which is as good as refused."""
_TOO_LONG = re.compile(
    r"larger than max|exceeds maximum size|message length too large|metadata size exceeds", re.IGNORECASE
)
"""C-core and Go; Java; Rust; C-core of metadata, also of a reply's, whose call has been carried out."""
_REMOVED = "Stream removed ("
"""C-core's own words for a stream that ended without a status."""

LOST = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS", "CANCELLED", "DEADLINE_EXCEEDED"})
"""Codes that say that a stream under way broke; any other is an answer."""

OK_FACTS = Facts(What.REPLY, status=200, grpc_code="OK")


def facts_of(
    code: str, detail: str, trailers: Headers, *, was_ready: bool, fresh: bool, is_ready: bool = False
) -> Facts:
    """The facts of a status before any message.

    `was_ready`: the channel was connected when the call began; `is_ready`: it is now. `fresh`: a stream of
    this call has been refused before, so that a server that refuses each one counts as one that is not there.
    """
    if code == "UNAVAILABLE" and not trailers:
        if not was_ready and not is_ready and _NEVER_READY.search(detail):
            return Facts(What.NO_CONNECTION, grpc_code=code, detail=detail)
        if detail == _REFUSED or (not is_ready and detail.startswith(SENT_AWAY)):
            return Facts(What.NO_CONNECTION if fresh else What.DEAD_UNWRITTEN, grpc_code=code, detail=detail)
    sign = None
    if code in ("RESOURCE_EXHAUSTED", "OUT_OF_RANGE") and _TOO_LONG.search(detail):
        sign = Sign.MESSAGE_SIZE
    elif code == "RESOURCE_EXHAUSTED" and not trailers and detail.startswith(_REMOVED):
        # ENHANCE_YOUR_CALM (RFC 9113, section 7): not a server's word that it has not carried the call out.
        return Facts(What.RESET, grpc_code=code, detail=detail)
    return Facts(What.REPLY, status=200, grpc_code=code, wait=pushback(trailers), sign=sign, detail=detail)


def pushback(trailers: Iterable[Header]) -> float | None:
    """Seconds that the server asks for, `FORBIDDEN` for a negative or unreadable number, None when it says nothing."""
    for name, value in trailers:
        if name == PUSHBACK:
            return int(value) / 1000 if value.isdigit() else FORBIDDEN
    return None


def status_alone(code: str, message: str, headers: Headers, trailers: Headers, facts: Facts) -> Reply:
    """A reply that has no message."""
    reply = Reply(200, b"", headers, facts, dict(headers))
    reply.trailers = trailers
    reply.code = code
    reply.message = message
    return reply
