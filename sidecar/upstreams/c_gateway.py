"""c-gateway: an HTTP server with one thread and one `read` for each request.

What it needs beyond `reuse = false` and `finish = true` is here: the request is
collected before a connection is opened, since one that is open and silent stops the
whole gateway, and then goes out in one write (`gateway_head.py`). Its answers come one
after the other, so a call holds its slot until its connection has ended. Event streams
are the exception: the gateway serves them beside its other work, up to 64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.call import Facts, What
from sidecar.errors import UpstreamError
from sidecar.upstreams.gateway_head import MOST, too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Attempt, Call, Reply
    from sidecar.upstreams.http import HttpUpstream

STREAMS = 60
"""Event streams at once. The gateway has room for 64, and not all of them are ours."""

STREAM_PATH = b"/api/v1/messages/stream"
"""Where the gateway serves event streams. With all places taken a call there is refused before it is sent: a stream
that is open cannot be closed without harm."""


class CGatewayUpstream:
    """Sends calls to c-gateway by `http`, whose heads are a `GatewayHeadWriter`'s.

    An event stream gives its slot back at evidence and takes one of 60 places instead; beyond
    them it keeps the slot.
    """

    def __init__(self, http: HttpUpstream) -> None:
        self._http = http
        self.private = http.private
        self.streams = 0
        """Event streams that are open, those that are read to their end included."""

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        """One exchange. A request of more than 65,535 bytes cannot be carried: nothing of it is sent."""
        body = call.body
        if body.whole is None:
            was_coming = not body.complete
            if await body.collect(MOST) is None:
                raise too_large(f"more than {MOST:,}" if body.length is None else f"{body.length:,} and more")
            if was_coming:
                attempt.sent()
        if self.streams >= STREAMS and (call.outgoing or call.target).partition(b"?")[0] == STREAM_PATH:
            raise UpstreamError(Facts(What.OVERLOADED, detail=f"{STREAMS} event streams are open"))
        place = _Place(self, attempt)
        reply = await self._http.send(call, place)
        kind = reply.fields.get(b"content-type", b"").lower()
        if reply.chunks is not None and kind.startswith(b"text/event-stream") and self.streams < STREAMS:
            place.becomes_stream()
        return reply

    async def aclose(self) -> None:
        """Close what is idle; the busy ones end with their replies."""
        await self._http.aclose()


class _Place:
    """The attempt as the http client sees it, and what the connection holds: the slot, or a stream's place."""

    __slots__ = ("_attempt", "_free", "_upstream", "address", "fresh")

    def __init__(self, upstream: CGatewayUpstream, attempt: Attempt) -> None:
        self._upstream = upstream
        self._attempt = attempt
        self._free: Callable[[], None] | None = None
        self.address = attempt.address
        self.fresh = attempt.fresh

    def sent(self) -> None:
        self._attempt.sent()

    def began(self, reply: Reply) -> None:
        self._attempt.began(reply)

    async def resume(self, why: str) -> Reply | None:
        return await self._attempt.resume(why)

    def keep_slot(self) -> Callable[[], None]:
        self._free = self._attempt.keep_slot()
        return self._give_back

    def becomes_stream(self) -> None:
        """The slot is free for the next call while the connection goes on."""
        free, self._free = self._free, self._end_stream
        self._upstream.streams += 1
        if free is not None:
            free()

    def _give_back(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free()

    def _end_stream(self) -> None:
        self._upstream.streams -= 1
