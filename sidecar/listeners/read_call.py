"""From a request on the wire to a `Call`: ids, what the caller asks of us, whether it may call at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.access import host_allowed, is_loopback, origin_allowed
from sidecar.body import Body, ReplayMemory
from sidecar.call import NO_DEADLINE, Call, Wire
from sidecar.errors import ForbiddenHost, ForbiddenOrigin, Refused
from sidecar.listeners.asked import ASKING, Access, ids_of, wishes

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.http1.request import Request
    from sidecar.ids import Ids

IDEMPOTENT_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""RFC 9110, section 9.2.2."""

_ASKING = ASKING | {b"x-stainless-retry-count", b"x-stainless-read-timeout", b"x-stainless-timeout", b"origin"}

_READS = frozenset({b"GET", b"HEAD"})


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
        if asks:
            request_id, correlation_id = ids_of(fields, self._ids)
        else:
            request_id = correlation_id = self._ids.new()
        whole = request.whole
        if whole is not None and not request.trailers:
            body = Body.of(whole)
        else:
            body = Body(request.read, length=request.length, memory=self._memory, trailers=request.trailers)
        target, method = request.target, request.method
        sent = fields.get(b"traceparent")
        trace = self._ids.traceparent(sent)
        call = Call(
            id=request_id,
            correlation_id=correlation_id,
            wire=Wire.HTTP,
            method=method,
            target=target,
            path=target.partition(b"?")[0],
            headers=request.onward,
            fields=fields,
            body=body,
            started=now,
            host=request.host,
            traceparent=trace,
            peer=request.peer,
        )
        call.memory = self._memory
        if trace is not sent and b"tracestate" in fields:
            call.stray_state = True
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
                call.peer = access.caller(request.peer, fields)
            call.refusal = self._refusal(call) or wishes(call, now)
            call.retrying = fields.get(b"x-stainless-retry-count", b"0") != b"0"
            for name in (b"x-stainless-read-timeout", b"x-stainless-timeout"):
                if name in fields:
                    call.caller_deadline = min(call.caller_deadline, _before(fields[name], now))
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

    def _refusal(self, call: Call) -> Refused | None:
        fields, access = call.fields, self.access
        origin = fields.get(b"origin")
        if (
            origin is not None
            and (call.method not in _READS or call.upgrade)
            and not origin_allowed(origin, access.origins)
        ):
            return ForbiddenOrigin("pages of this origin may not call: name it in listen.origins")
        return access.refusal(fields, self._via)


def _before(patience: bytes, now: float) -> float:
    """A moment early enough for an SDK that waits so many seconds: 5 % less, at least 250 ms."""
    try:
        seconds = float(patience)
    except ValueError:
        return NO_DEADLINE
    return now + max(seconds - max(seconds * 0.05, 0.25), 0.0) if seconds > 0 else NO_DEADLINE
