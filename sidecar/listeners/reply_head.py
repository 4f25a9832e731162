"""The reply head that goes to the caller: the upstream's fields and what we add.

What we add is mostly the same for one route and upstream, so it is encoded once
for each pair and kept.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sidecar.http1.fields import forwardable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call, Header, Headers, Reply

_OURS = frozenset(
    {
        b"content-length",
        b"x-sidecar-request-id",
        b"x-sidecar-route",
        b"x-sidecar-upstream",
        b"x-sidecar-attempts",
        b"x-sidecar-config",
        b"x-correlation-id",
    }
)
"""Fields of an upstream's reply that ours replace: the framing is made anew, and an upstream may be a sidecar."""

_CATEGORIES = {
    400: b"invalid_request", 401: b"auth", 403: b"auth", 404: b"invalid_request", 408: b"server",
    409: b"invalid_request", 413: b"invalid_request", 422: b"invalid_request", 429: b"rate_limit",
}  # fmt: skip

_WINDOW_NAMES = {1.0: b"Second", 60.0: b"Minute", 3600.0: b"Hour", 86400.0: b"Day"}

_MOST_PAIRS = 10_000


class ReplyHeads:
    """Encodes reply heads. `wall` is seconds since 1970, for `X-RateLimit-Reset-*`."""

    __slots__ = ("_clock", "_names", "_server_timing", "_wall")

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float], *, server_timing: bool = False) -> None:
        self._clock = clock
        self._wall = wall
        self._server_timing = server_timing
        self._names: dict[tuple[str, str, int], bytes] = {}

    def of_reply(self, call: Call, reply: Reply) -> bytes:
        """Header lines for an upstream's reply; no status line, no framing."""
        fields = reply.fields
        lines = [b"%b: %b\r\n" % pair for pair in reply.headers if pair[0].lower() not in _OURS]
        lines.append(self._ours(call, b"x-request-id" in fields))
        if reply.status >= 400:
            lines.append(_category(reply.status))
            if call.should_retry is False and b"x-should-retry" not in fields:
                lines.append(b"x-should-retry: false\r\n")
            if call.replay_off:
                lines.append(b"X-Sidecar-Replay: off\r\n")
        if call.quotas is not None:
            lines.append(self.quotas(call))
        if self._server_timing:
            taken = (self._clock() - call.started) * 1000
            lines.append(b'Server-Timing: total;dur=%.1f;desc="attempts=%d"\r\n' % (taken, call.attempts))
        return b"".join(lines)

    def of_refusal(self, call: Call, status: int, lines: bytes, *, tell_off: bool) -> bytes:
        """Header lines for our own answer; `tell_off`: `x-should-retry: false` may be said."""
        parts = [lines, self._ours(call, sent_id=False), _category(status)]
        if tell_off and call.should_retry is False:
            parts.append(b"x-should-retry: false\r\n")
        if call.replay_off:
            parts.append(b"X-Sidecar-Replay: off\r\n")
        if call.quotas is not None:
            parts.append(self.quotas(call))
        return b"".join(parts)

    def _ours(self, call: Call, sent_id: bool) -> bytes:
        request_id = call.id.encode()
        lines = b"X-Sidecar-Request-ID: %b\r\nX-Correlation-ID: %b\r\nX-Sidecar-Attempts: %d\r\n%b" % (
            request_id,
            call.correlation_id.encode(),
            call.attempts,
            self._named(call.route, call.upstream, call.generation),
        )
        return lines if sent_id else lines + b"X-Request-ID: %b\r\n" % request_id

    def _named(self, route: str, upstream: str, generation: int) -> bytes:
        key = (route, upstream, generation)
        named = self._names.get(key)
        if named is None:
            if len(self._names) >= _MOST_PAIRS:  # many reloads
                self._names.clear()
            named = b"X-Sidecar-Config: %d\r\n" % generation
            if route:
                named += b"X-Sidecar-Route: %b\r\n" % route.encode()
            if upstream:
                named += b"X-Sidecar-Upstream: %b\r\n" % upstream.encode()
            self._names[key] = named
        return named

    def quotas(self, call: Call) -> bytes:
        """What is left of the route's rate limit, in the IETF draft's fields and in the older ones."""
        quotas = call.quotas or []
        policies, states, older = [], [], []
        for quota in quotas:
            name = _WINDOW_NAMES.get(quota.window, b"%d" % quota.window)
            reset = math.ceil(quota.reset)
            label = b'"%b"' % name.lower()
            policies.append(b"%b;q=%d;w=%d" % (label, quota.limit, quota.window))
            states.append(b"%b;r=%d;t=%d" % (label, quota.remaining, reset))
            older.append(
                b"X-RateLimit-Limit-%b: %d\r\nX-RateLimit-Remaining-%b: %d\r\nX-RateLimit-Reset-%b: %d\r\n"
                % (name, quota.limit, name, quota.remaining, name, math.ceil(self._wall()) + reset)
            )
        return b"RateLimit-Policy: %b\r\nRateLimit: %b\r\n%b" % (
            b", ".join(policies),
            b", ".join(states),
            b"".join(older),
        )


def interim_lines(headers: Headers) -> bytes:
    """The fields of a 1xx reply that may go on to the caller."""
    kept: list[Header] = forwardable(headers)[0]
    return b"".join(b"%b: %b\r\n" % pair for pair in kept)


def _category(status: int) -> bytes:
    category = _CATEGORIES.get(status) or (b"server" if status >= 500 else b"unknown")
    return b"X-Sidecar-Error-Category: %b\r\n" % category
