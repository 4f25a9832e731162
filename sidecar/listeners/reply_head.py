"""The reply head that goes to the caller: the upstream's fields and what we add.

What we add is mostly the same for one route and upstream, so it is encoded once
for each pair and kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.http1.fields import forwardable
from sidecar.listeners.quota_lines import QuotaLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call, Header, Headers, Reply

OURS = frozenset(
    {
        b"x-sidecar-request-id",
        b"x-sidecar-route",
        b"x-sidecar-upstream",
        b"x-sidecar-attempts",
        b"x-sidecar-config",
        b"x-sidecar-model",
        b"x-sidecar-dropped",
        b"x-sidecar-error-category",
        b"x-sidecar-replay",
        b"x-correlation-id",
    }
)
"""Fields of an upstream's reply that ours replace: an upstream may be a sidecar, too."""

_CATEGORIES = {
    400: b"invalid_request", 401: b"auth", 403: b"auth", 404: b"invalid_request", 408: b"server",
    409: b"invalid_request", 413: b"invalid_request", 422: b"invalid_request", 429: b"rate_limit",
}  # fmt: skip

LONGEST_DROPPED = 1024
"""Bytes of the list of what was dropped."""

_VISIBLE = bytes(byte if 0x21 <= byte <= 0x7E and byte != 0x2C else 0x3F for byte in range(256))
"""What a list in a header can say; `?` instead of the rest."""

_MOST_PAIRS = 10_000

_line = b": ".join


class ReplyHeads:
    """Encodes reply heads. `wall` is seconds since 1970, for `X-RateLimit-Reset-*`."""

    __slots__ = ("_clock", "_names", "_quotas", "_server_timing")

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float], *, server_timing: bool = False) -> None:
        self._clock = clock
        self._quotas = QuotaLines(wall)
        self._server_timing = server_timing
        self._names: dict[tuple[str, str, int], bytes] = {}

    def of_reply(self, call: Call, reply: Reply) -> bytes:
        """Header lines for an upstream's reply; no status line, no framing."""
        fields = reply.fields
        if OURS.isdisjoint(fields):
            lines = [_line(pair) for pair in reply.headers]
        else:
            lines = [_line(pair) for pair in reply.headers if pair[0].lower() not in OURS]
        lines.append(self._ours(call, sent_id=b"x-request-id" in fields))
        if call.llm is not None:
            _tell_llm(lines, reply)
        if reply.status >= 400:
            lines.append(_category(reply.status))
            if call.should_retry is False and b"x-should-retry" not in fields:
                lines.append(b"x-should-retry: false")
            if call.replay_off:
                lines.append(b"X-Sidecar-Replay: off")
        if call.quotas is not None:
            lines.append(self._quotas.of(call.quotas))
        if self._server_timing:
            taken = (self._clock() - call.started) * 1000
            lines.append(b'Server-Timing: total;dur=%.1f;desc="attempts=%d"' % (taken, call.attempts))
        lines.append(b"")
        return b"\r\n".join(lines)

    def of_waiting(self, call: Call) -> bytes:
        """Header lines for a stream of events whose answer is still to come: what is known already."""
        lines = [b"Content-Type: text/event-stream\r\nCache-Control: no-cache", self._ids(call)]
        if call.quotas is not None:
            lines.append(self._quotas.of(call.quotas))
        lines.append(b"")
        return b"\r\n".join(lines)

    def of_refusal(self, call: Call, status: int, lines: bytes, *, tell_off: bool) -> bytes:
        """Header lines for our own answer; `tell_off`: `x-should-retry: false` may be said."""
        parts = [lines + self._ours(call, sent_id=False), _category(status)]
        if tell_off and call.should_retry is False:
            parts.append(b"x-should-retry: false")
        if call.replay_off:
            parts.append(b"X-Sidecar-Replay: off")
        if call.quotas is not None:
            parts.append(self._quotas.of(call.quotas))
        parts.append(b"")
        return b"\r\n".join(parts)

    def _ids(self, call: Call) -> bytes:
        request_id = call.id.encode()
        return b"X-Sidecar-Request-ID: %b\r\nX-Correlation-ID: %b\r\nX-Request-ID: %b\r\nX-Sidecar-Route: %b" % (
            request_id, call.correlation_id.encode(), request_id, call.route.encode(),
        )  # fmt: skip

    def _ours(self, call: Call, *, sent_id: bool) -> bytes:
        request_id = call.id.encode()
        correlation_id = request_id if call.correlation_id is call.id else call.correlation_id.encode()
        named = self._names.get((call.route, call.upstream, call.generation)) or self._named(call)
        if sent_id:
            return b"X-Sidecar-Request-ID: %b\r\nX-Correlation-ID: %b\r\nX-Sidecar-Attempts: %d%b" % (
                request_id, correlation_id, call.attempts, named,
            )  # fmt: skip
        return b"X-Sidecar-Request-ID: %b\r\nX-Correlation-ID: %b\r\nX-Request-ID: %b\r\nX-Sidecar-Attempts: %d%b" % (
            request_id, correlation_id, request_id, call.attempts, named,
        )  # fmt: skip

    def _named(self, call: Call) -> bytes:
        if len(self._names) >= _MOST_PAIRS:  # many reloads
            self._names.clear()
        named = b"\r\nX-Sidecar-Config: %d" % call.generation if call.generation else b""
        if call.route:
            named += b"\r\nX-Sidecar-Route: %b" % call.route.encode()
        if call.upstream:
            named += b"\r\nX-Sidecar-Upstream: %b" % answerer(call)
        self._names[call.route, call.upstream, call.generation] = named
        return named


def interim_lines(headers: Headers) -> bytes:
    """The fields of a 1xx reply that may go on to the caller."""
    kept: list[Header] = forwardable(headers)[0]
    return b"".join(b"%b: %b\r\n" % pair for pair in kept)


def answerer(call: Call) -> bytes:
    """Whose answer it is, as the caller is told: `static` for one from the policy file, whichever that was."""
    return call.upstream.partition("/")[0].encode()


def category(status: int) -> bytes:
    """What kind of failure a status of 400 or more is, from a closed set."""
    return _CATEGORIES.get(status) or (b"server" if status >= 500 else b"unknown")


def _tell_llm(lines: list[bytes], reply: Reply) -> None:
    """The model that a chain chose, and what it was not told of the request. Names of fields are the caller's words."""
    if reply.model:
        lines.append(b"X-Sidecar-Model: " + _visible(reply.model))
    if reply.dropped:
        dropped = b", ".join(_visible(name) for name in reply.dropped)
        lines.append(b"X-Sidecar-Dropped: " + dropped[:LONGEST_DROPPED])


def _visible(text: str) -> bytes:
    return text.encode().translate(_VISIBLE)


def _category(status: int) -> bytes:
    return b"X-Sidecar-Error-Category: " + category(status)
