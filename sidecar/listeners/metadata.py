"""The metadata that go to a gRPC caller: the upstream's, and what we add.

The gRPC form of `reply_head.py`. Ours stand in front of the first message; a reply
that is a status alone has nothing in front, so that they stand behind it. What can
be known at the end only, stands behind the last message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.dialects.refusal import never_tells_off
from sidecar.listeners.quota_lines import QuotaLines
from sidecar.listeners.reply_head import OURS, answerer, category

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidecar.call import Call, Header, Headers, Reply
    from sidecar.errors import Refused

_CATEGORIES = {
    "RESOURCE_EXHAUSTED": b"rate_limit", "UNAUTHENTICATED": b"auth", "PERMISSION_DENIED": b"auth",
    "INVALID_ARGUMENT": b"invalid_request", "NOT_FOUND": b"invalid_request", "ALREADY_EXISTS": b"invalid_request",
    "FAILED_PRECONDITION": b"invalid_request", "OUT_OF_RANGE": b"invalid_request", "ABORTED": b"invalid_request",
    "UNKNOWN": b"server", "DEADLINE_EXCEEDED": b"server", "UNIMPLEMENTED": b"server", "INTERNAL": b"server",
    "UNAVAILABLE": b"server", "DATA_LOSS": b"server",
}  # fmt: skip

_MOST_PAIRS = 10_000


class ReplyMetadata:
    """Makes the metadata of replies. `wall` is seconds since 1970, for `x-ratelimit-reset-*`."""

    __slots__ = ("_clock", "_names", "_quotas", "_server_timing")

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float], *, server_timing: bool = False) -> None:
        self._clock = clock
        self._quotas = QuotaLines(wall)
        self._server_timing = server_timing
        self._names: dict[tuple[str, str, int], tuple[Header, ...]] = {}

    def initial(self, call: Call, reply: Reply) -> Headers:
        """What goes before the first message; of a status alone the upstream's own, if it sent any."""
        pairs = _theirs(reply.headers)
        if reply.whole is not None or reply.chunks is not None:
            self._add_ours(pairs, call, sent_id=b"x-request-id" in reply.fields)
        return pairs

    def trailing(self, call: Call, reply: Reply) -> Headers:
        """What goes behind the last message, with the status. A reply's trailers are complete then."""
        pairs = _theirs(reply.trailers)
        if reply.whole is None and reply.chunks is None:
            sent_id = b"x-request-id" in reply.fields or any(name == b"x-request-id" for name, _ in pairs)
            self._add_ours(pairs, call, sent_id=sent_id)
        if reply.code != "OK":
            _add_failure(pairs, call, _CATEGORIES.get(reply.code, b"unknown"))
            said = b"x-should-retry" in reply.fields or any(name == b"x-should-retry" for name, _ in pairs)
            if call.should_retry is False and not said:
                pairs.append((b"x-should-retry", b"false"))
        return pairs

    def refusal(self, call: Call, trailers: Headers, refusal: Refused) -> Headers:
        """What goes with our own status; its category is that of the same refusal over HTTP."""
        pairs = list(trailers)
        self._add_ours(pairs, call, sent_id=False)
        _add_failure(pairs, call, category(refusal.http_status))
        if call.should_retry is False and not never_tells_off(refusal):
            pairs.append((b"x-should-retry", b"false"))
        return pairs

    def _add_ours(self, pairs: Headers, call: Call, *, sent_id: bool) -> None:
        request_id = call.id.encode()
        pairs.append((b"x-sidecar-request-id", request_id))
        pairs.append((b"x-correlation-id", call.correlation_id.encode()))
        if not sent_id:
            pairs.append((b"x-request-id", request_id))
        pairs.append((b"x-sidecar-attempts", b"%d" % call.attempts))
        pairs += self._names.get((call.route, call.upstream, call.generation)) or self._named(call)
        if call.quotas is not None:
            for line in self._quotas.of(call.quotas).split(b"\r\n"):
                name, _, value = line.partition(b": ")
                pairs.append((name.lower(), value))
        if self._server_timing:
            taken = (self._clock() - call.started) * 1000
            pairs.append((b"server-timing", b'total;dur=%.1f;desc="attempts=%d"' % (taken, call.attempts)))

    def _named(self, call: Call) -> tuple[Header, ...]:
        if len(self._names) >= _MOST_PAIRS:  # many reloads
            self._names.clear()
        told = (
            (b"x-sidecar-config", b"%d" % call.generation if call.generation else b""),
            (b"x-sidecar-route", call.route.encode()),
            (b"x-sidecar-upstream", answerer(call)),
        )
        named = tuple(pair for pair in told if pair[1])
        self._names[call.route, call.upstream, call.generation] = named
        return named


def _theirs(pairs: Iterable[Header]) -> Headers:
    """Without those that ours replace: an upstream may be a sidecar, too."""
    return [pair for pair in pairs if pair[0] not in OURS]


def _add_failure(pairs: Headers, call: Call, kind: bytes) -> None:
    pairs.append((b"x-sidecar-error-category", kind))
    if call.replay_off:
        pairs.append((b"x-sidecar-replay", b"off"))
