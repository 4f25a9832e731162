"""One connection to an upstream, one exchange at a time.

An exchange: `send` the request (whole, or its head with the body to follow by
`write_body` and `end_body` from another task), await `head`, then `read` until
`b""` unless the body came `whole` with the head. Then the connection goes back to
its pool, which keeps it only if it is `reusable`.

What arrived is acted on once, at the end of `data_received`: a small reply costs one wake-up and is `whole`.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, cast

from sidecar.http1.failures import ConnectionDied, ExchangeFailed, ReplyCut, ReplyStalled
from sidecar.http1.reply_parser import ReplyParser
from sidecar.http1.sockets import last_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidecar.call import Header, Headers
    from sidecar.http1.reply import ReplyHead

HIGH_WATER = 64 * 1024
"""Bytes of a reply's body held before reading pauses (rule 9)."""


class ClientConnection(ReplyParser, asyncio.Protocol):
    """The client's end of one HTTP/1.1 connection.

    `reused`: it has carried an exchange before. `bytes_seen`: of this exchange, both ways. `peer` is the address it
    is connected to. Every wait raises an `ExchangeFailed` when the connection ends first. A cancelled exchange
    leaves the connection not `reusable`.
    """

    __slots__ = (
        "_drained", "_expecting", "_fd", "_go_ahead", "_idle", "_loop", "_lost", "_on_interim", "_poll",
        "_quiet_since", "_read_paused", "_request_left", "_timer", "_transport", "_waiter", "_write_paused",
        "idle_since", "leased", "on_lost", "peer", "reused",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, *, lenient_length: bool = False) -> None:
        super().__init__(lenient_length=lenient_length)
        self._loop = loop
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None
        self._fd = -1  # of a socket without TLS
        self._lost = False
        self._expecting = False  # a reply is awaited or on its way: bytes at any other time are nobody's
        self._on_interim: Callable[[int, Headers], None] | None = None
        self._request_left: int | None = 0  # body bytes still owed; None: chunks until `end_body`
        self._read_paused = False
        self._write_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._go_ahead: asyncio.Future[None] | None = None
        self._idle = 0.0
        self._quiet_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.reused = False
        self.peer: object = None
        # The pool's marks.
        self.leased = False
        self.idle_since = 0.0
        self.on_lost: Callable[[ClientConnection], None] | None = None

    # The request.

    def send(
        self,
        data: bytes,
        *,
        length: int | None = 0,
        head_only: bool = False,
        upgrade: bool = False,
        idle: float = 0.0,
        interim: Callable[[int, Headers], None] | None = None,
    ) -> None:
        """Begin an exchange with the request's head and whatever of its body is at hand, in one write.

        `length` is what of the body is still to follow by `write_body`: 0 for nothing,
        None for chunks. `head_only`: the reply has no body whatever it says (HEAD, CONNECT).
        `upgrade`: 101 was asked for. `idle`: longest silence (seconds) inside the reply's
        body, or while the request's is not taken, 0 for any. `interim` hears 1xx replies other than 100 and 101.

        Raises `ConnectionDied` if the connection is known to be dead: nothing was written.
        """
        if self._lost or self._transport.is_closing():
            raise ConnectionDied("the connection was closed before the request", reused=self.reused, written=False)
        self.begin(head_only=head_only, upgrade=upgrade)
        self._on_interim = interim
        self._request_left = length
        self._idle = idle
        self._expecting = True
        self._transport.write(data)

    def write_body(self, piece: bytes) -> None:
        """Send a piece of the request body in the framing that `send` announced; then await `drain`.

        More than was announced is our bug and is not sent: it would be the next request.
        """
        if self._request_left is None:
            if not piece:  # an empty chunk would be the last one
                return
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        elif len(piece) > self._request_left:
            raise ValueError(f"{len(piece)} body bytes where {self._request_left} are left to send")
        else:
            self._request_left -= len(piece)
        if self._lost or self._transport.is_closing():
            raise self._death()
        self._transport.write(piece)

    def end_body(self, trailers: Iterable[Header] = ()) -> None:
        """The request body is complete. Trailers go only behind chunks; the last chunk is not sent twice.

        A body shorter than its declared length cannot be ended: the connection is closed.
        """
        if self._request_left is None:
            ending = b"0\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % field for field in trailers)
            self._request_left = 0
            if not self._lost:
                self._transport.write(ending)
        elif self._request_left:
            self.close()

    async def drain(self) -> None:
        """Wait until what was written may be followed by more. One waiter at a time.

        An upstream that takes nothing for the idle time is `ReplyStalled`, here and for whoever awaits the reply.
        """
        while self._write_paused:
            if self._lost:
                raise self._death()
            self._drained = self._loop.create_future()
            timer = self._loop.call_later(self._idle, self._stall, "of the request was taken") if self._idle else None
            try:
                await self._drained
            finally:
                if timer is not None:
                    timer.cancel()

    async def continued_within(self, seconds: float) -> bool:
        """Wait for 100 before the body of a request with `Expect: 100-continue`.

        True: send the body now, since 100 came, or the time passed and the upstream may never
        send one (RFC 9110, section 10.1.1). False: the final reply came first, or none will.
        """
        if not self.continued and self.final is None and self.error is None and not self._lost:
            self._go_ahead = waiter = self._loop.create_future()
            timer = self._loop.call_later(seconds, _set, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._go_ahead = None
        return self.final is None and self.error is None and not self._lost

    # The reply.

    async def head(self) -> ReplyHead:
        """The final reply's head, with its body if all of it is here. Once per exchange."""
        while self.final is None and self.error is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self.error is not None:
            raise self.error  # also when the head had come: better known now than after it was passed on
        head = self.final
        assert head is not None  # with no error, that is what was waited for
        if self.complete:
            head.whole = self._take()
        return head

    async def read(self) -> bytes:
        """All of the body that is here, or the next piece of it; `b""` at its end.

        Raises `ReplyCut`, `ReplyUnparseable` or `ReplyStalled` once what had come before is read.
        """
        while True:
            if self.pieces:
                return self._take()
            if self.complete:
                return b""
            if self.error is not None:
                raise self.error
            self._waiter = self._loop.create_future()
            if self._idle:
                self._quiet_since = self._loop.time()
                if self._timer is None:
                    self._timer = self._loop.call_later(self._idle, self._check_silence)
            await self._waiter

    @property
    def unanswered(self) -> bool:
        """The request is out whole, and its reply is awaited or on its way."""
        return self._expecting and self._request_left == 0 and not self.spent

    def hasten(self, idle: float) -> None:
        """From now on the reply's body may be silent for so long (seconds) at most."""
        self._idle = idle
        self._stop_timer()

    def skip(self) -> asyncio.Future[None] | None:
        """Throw away what has come of the reply; done when there is more. None: it has ended, well or not.

        The idle time does not count any more, and interim replies go nowhere.
        """
        self._take()
        self._on_interim, self._idle = None, 0.0
        self._waiter = None if self.complete or self.error is not None else self._loop.create_future()
        return self._waiter

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """After 101: the transport and what came behind the head. The connection is spent.

        Reading is paused; whoever takes over sets a protocol and resumes it.
        """
        leftover, self.leftover = self.leftover, b""
        self._end()
        return self._transport, leftover

    # Its health.

    @property
    def reusable(self) -> bool:
        """Nothing of an exchange is left on it, and both sides keep it open."""
        if self._lost or self.spent or self._expecting or self._request_left != 0 or self._transport.is_closing():
            return False
        return self.final is None or self.final.keep_alive

    def is_dead(self) -> bool:
        """Whether an idle connection is known to be gone, or has bytes that nobody asked for.

        Looks at the socket itself (0.3 us): the loop has not yet seen what arrived since its last turn.
        """
        if self._lost or self.spent or self._transport.is_closing():
            return True
        return self._poll is not None and bool(self._poll(0))

    def close(self) -> None:
        """End it now, whatever is on its way (idempotent)."""
        self.spent = True
        if not self._lost:
            self._transport.abort()

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.peer = transport.get_extra_info("peername")
        raw = transport.get_extra_info("socket")
        if raw is None or not hasattr(select, "poll"):
            return
        mask = select.POLLIN
        if transport.get_extra_info("ssl_object") is None:
            self._fd = raw.fileno()
        else:
            # A readable socket may hold a session ticket: with TLS only its end counts, where poll can tell.
            mask = getattr(select, "POLLRDHUP", select.POLLHUP)
        poll = select.poll()
        poll.register(raw.fileno(), mask)
        self._poll = poll.poll

    def data_received(self, data: bytes) -> None:
        if not self._expecting:
            self._unasked(data)
            return
        self.feed(data)
        if self.error is not None:
            self.close()
            self._expecting = False
        elif self.complete:
            self._expecting = False
            if self.final is not None and self.final.status == 101:
                self._transport.pause_reading()
        elif self.buffered > HIGH_WATER and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()
        if self.news:
            self._tell_interim()
        if self.continued:
            _set(self._go_ahead)
        if self.final is not None or self.error is not None:
            waiter = self._waiter
            if waiter is not None:
                self._waiter = None
                if not waiter.done():
                    waiter.set_result(None)
            _set(self._go_ahead)

    def eof_received(self) -> None:
        # Acted on now: with bytes of ours still unsent, asyncio would wait to close until they are gone.
        self._ended(None)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and self._expecting and self._fd >= 0:
            for data in last_words(self._fd, HIGH_WATER):
                if self._expecting:
                    self.data_received(data)
        self._ended(exc)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        _set(self._drained)

    # What follows from it.

    def _take(self) -> bytes:
        pieces = self.pieces
        if not pieces:
            return b""
        self.pieces = []
        self.buffered = 0
        if self._read_paused:
            self._read_paused = False
            if not self._lost:
                self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _tell_interim(self) -> None:
        news, self.news = self.news, []
        if self._on_interim is not None:
            for status, fields in news:
                self._on_interim(status, fields)

    def _unasked(self, data: bytes) -> None:
        """Bytes that belong to no exchange: kept for a tunnel, else the beginning of a forged reply."""
        if self.final is not None and self.final.status == 101:
            self.leftover += data
            return
        self.close()
        self._leave_pool()

    def _ended(self, exc: Exception | None) -> None:
        if self._lost:
            return
        if self._expecting and self.error is None:
            if self.final is not None and self.until_close and exc is None and not self.spent:
                self.complete = True
            else:
                self.error = self._cut(exc)
        self._end()

    def _end(self) -> None:
        """Nothing can come any more: everybody who waits looks again."""
        if self._lost:
            return
        self._lost = True
        del self._parser  # it holds our callbacks: without the circle, all this is freed at once
        self._expecting = False
        self._stop_timer()
        for waiter in (self._waiter, self._drained, self._go_ahead):
            _set(waiter)
        self._leave_pool()

    def _leave_pool(self) -> None:
        if self.on_lost is not None:
            self.on_lost(self)

    def _cut(self, exc: Exception | None) -> ExchangeFailed:
        how = f"the connection was reset ({exc})" if exc is not None else "the connection was closed"
        if not self.bytes_seen:
            return ConnectionDied(f"{how} before a byte of the reply", reused=self.reused, written=True)
        return ReplyCut(f"{how} inside the reply's {'head' if self.final is None else 'body'}")

    def _death(self) -> ExchangeFailed:
        return self.error or ConnectionDied("the connection is closed", reused=self.reused, written=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_silence(self) -> None:
        self._timer = None
        if not self._idle or self._waiter is None or self._waiter.done() or not self._expecting:
            return
        left = self._quiet_since + self._idle - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check_silence)
            return
        self._stall("of the reply came")

    def _stall(self, what: str) -> None:
        self.error = ReplyStalled(f"no byte {what} for {self._idle:g} s")
        self._expecting = False
        self.close()
        _set(self._waiter)


def _set(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
