"""From a request on the wire to a `Call`: ids, what the caller asks of us, whether it may call at all."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.access import host_allowed, is_loopback, origin_allowed
from sidecar.body import Body, ReplayMemory
from sidecar.call import NO_DEADLINE, Call, Wire
from sidecar.errors import ForbiddenHost, ForbiddenOrigin, ForbiddenToken, InvalidRequest, LoopDetected, Refused
from sidecar.ids import Ids, sane
from sidecar.settings import SettingError, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.http1.request import Request

IDEMPOTENT_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""RFC 9110, section 9.2.2."""

_ASKING = frozenset(
    {
        b"x-request-id", b"x-correlation-id", b"x-sidecar-token", b"x-sidecar-idempotent", b"x-sidecar-retry",
        b"x-sidecar-fallback", b"x-sidecar-timeout", b"x-stainless-retry-count", b"x-stainless-read-timeout",
        b"x-stainless-timeout", b"idempotency-key", b"origin", b"via", b"x-forwarded-for",
    }
)  # fmt: skip
"""Fields that ask something of us. Most calls have none of them, which one look tells (0.2 us)."""

_READS = frozenset({b"GET", b"HEAD"})
_MOST_SIDECARS = 8
"""So many sidecars in a row are a loop that changes its ids."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call: names of hosts and origins (lower case), and the token if one is asked for."""

    hosts: frozenset[bytes] = frozenset()
    origins: frozenset[bytes] = frozenset()
    token: bytes = field(default=b"", repr=False)
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()


class CallReader:
    """Makes calls of requests. `via` is our own pseudonym: a request that bears it went in a circle.

    `access` is replaced by a reload.
    """

    __slots__ = ("_clock", "_ids", "_memory", "_via", "access")

    def __init__(self, access: Access, ids: Ids, memory: ReplayMemory, via: bytes, clock: Callable[[], float]) -> None:
        self.access = access
        self._ids = ids
        self._memory = memory
        self._via = via
        self._clock = clock

    def read(self, request: Request) -> Call:
        """The call. Its `refusal` is set when it must not be served."""
        fields = request.fields
        now = self._clock()
        asks = not _ASKING.isdisjoint(fields)
        correlation_id = ""
        if asks:
            request_id = sane(fields.get(b"x-request-id"))
            correlation_id = sane(fields.get(b"x-correlation-id"))
            request_id = request_id or correlation_id or self._ids.new()
        else:
            request_id = self._ids.new()
        whole = request.whole
        if whole is not None and not request.trailers:
            body = Body.of(whole)
        else:
            body = Body(request.read, length=request.length, memory=self._memory, trailers=request.trailers)
        target, method = request.target, request.method
        call = Call(
            id=request_id,
            correlation_id=correlation_id or request_id,
            wire=Wire.HTTP,
            method=method,
            target=target,
            path=target.partition(b"?")[0],
            headers=request.onward,
            fields=fields,
            body=body,
            started=now,
            host=request.host,
            traceparent=self._ids.traceparent(fields.get(b"traceparent")),
            peer=request.peer,
        )
        if method in IDEMPOTENT_METHODS:
            call.idempotent = True
        if request.secure:
            call.secure = True
        if request.upgrade:
            call.upgrade = request.upgrade
        if request.expects_continue:
            call.expects_continue = True
        access = self.access
        if is_loopback(request.local) and not host_allowed(request.host, access.hosts):
            call.refusal = ForbiddenHost("this Host is not served here: name it in a route or in listen.hosts")
        elif asks or access.token:
            if access.trusted:
                call.peer = self._peer(request)
            call.refusal = self._refusal(call) or _wishes(call, now)
        return call

    def unread(self, request: Request | None) -> Call:
        """What stands for a request that could not be read, or only its head: ids for the answer and the log."""
        request_id = self._ids.new()
        return Call(
            id=request_id,
            correlation_id=request_id,
            wire=Wire.HTTP,
            method=b"" if request is None else request.method,
            target=b"" if request is None else request.target,
            path=b"" if request is None else request.target.partition(b"?")[0],
            headers=[],
            fields={} if request is None else request.fields,
            body=Body.of(b""),
            started=self._clock(),
        )

    def _peer(self, request: Request) -> str:
        """The caller's address; behind a trusted proxy, the nearest address that is not trusted."""
        peer = request.peer
        if not self.access.trusted or b"x-forwarded-for" not in request.fields:
            return peer
        for hop in reversed(request.fields[b"x-forwarded-for"].split(b",")):
            if not self._trusts(peer):
                return peer
            peer = hop.strip().decode("latin-1")
        return peer

    def _trusts(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.access.trusted)

    def _refusal(self, call: Call) -> Refused | None:
        fields, access = call.fields, self.access
        origin = fields.get(b"origin")
        if (
            origin is not None
            and (call.method not in _READS or call.upgrade)
            and not origin_allowed(origin, access.origins)
        ):
            return ForbiddenOrigin("pages of this origin may not call: name it in listen.origins")
        if access.token and not hmac.compare_digest(fields.get(b"x-sidecar-token", b""), access.token):
            return ForbiddenToken("X-Sidecar-Token is missing or wrong")
        via = fields.get(b"via")
        if via is not None and (self._via in via or via.count(b"1.1 sidecar-") >= _MOST_SIDECARS):
            return LoopDetected("the call has come back to where it was sent from")
        return None


def _wishes(call: Call, now: float) -> Refused | None:
    """What the caller asks of us in header fields, written onto the call."""
    fields = call.fields
    if b"idempotency-key" in fields or fields.get(b"x-sidecar-idempotent", b"").lower() == b"true":
        call.idempotent = True
    call.retry = fields.get(b"x-sidecar-retry", b"").lower() != b"off"
    call.fallback = fields.get(b"x-sidecar-fallback", b"").lower() != b"off"
    call.retrying = fields.get(b"x-stainless-retry-count", b"0") != b"0"
    deadline = NO_DEADLINE
    asked = fields.get(b"x-sidecar-timeout")
    if asked is not None:
        try:
            deadline = now + _seconds(asked.decode("latin-1"))
        except SettingError as error:
            return InvalidRequest(f"X-Sidecar-Timeout {error}; allowed: {error.allowed}")
    for name in (b"x-stainless-read-timeout", b"x-stainless-timeout"):
        if name in fields:
            deadline = min(deadline, _before(fields[name], now))
    call.caller_deadline = deadline
    return None


def _seconds(text: str) -> float:
    """A duration as in the policy file, or a plain number of seconds."""
    return float(text) if text.replace(".", "", 1).isdecimal() else parse_duration(text)


def _before(patience: bytes, now: float) -> float:
    """A moment early enough for an SDK that waits so many seconds: 5 % less, at least 250 ms."""
    try:
        seconds = float(patience)
    except ValueError:
        return NO_DEADLINE
    return now + max(seconds - max(seconds * 0.05, 0.25), 0.0) if seconds > 0 else NO_DEADLINE
