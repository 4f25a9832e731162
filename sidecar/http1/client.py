"""One connection to an upstream, one exchange at a time.

An exchange: `send` the request (whole, or its head with the body to follow by
`write_body` and `end_body` from another task), await `head`, then `read` until
`b""` unless the body came `whole` with the head. Then the connection goes back to
its pool, which keeps it only if it is `reusable`.

llhttp calls back while it parses; the callbacks only store. What they stored is
acted on once, at the end of `data_received`, so that a small reply costs one
wake-up and is `whole`. No timer is set unless a read has to wait.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from sidecar.http1.failures import ConnectionDied, ExchangeFailed, ReplyCut, ReplyStalled, ReplyUnparseable
from sidecar.http1.reply import MAX_HEAD, OneLength, ReplyHead, stays_open

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Header, Headers

HIGH_WATER = 64 * 1024
"""Bytes of a reply's body held before reading pauses (rule 9)."""


class ClientConnection(asyncio.Protocol):
    """The client's end of one HTTP/1.1 connection.

    `reused`: it has carried an exchange before. `bytes_written`, `bytes_seen`: of this
    exchange, both ways. `peer` is the address it is connected to. Every wait raises
    an `ExchangeFailed` when the connection ends first. A cancelled exchange leaves
    the connection not `reusable`.
    """

    __slots__ = (
        "_beginning_odd", "_buffered", "_complete", "_continued", "_drained", "_error", "_expecting", "_fields",
        "_go_ahead", "_head", "_head_only", "_idle", "_interim", "_leftover", "_lenient", "_loop", "_lost",
        "_news", "_on_interim", "_one_length", "_overhead", "_parser", "_pieces", "_poll", "_quiet_since",
        "_read_paused", "_reason", "_request_left", "_spent", "_timer", "_transport", "_until_close",
        "_upgrade", "_waiter", "_write_paused", "bytes_seen", "bytes_written", "idle_since", "leased",
        "on_lost", "peer", "reused", "trailers",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, *, lenient_length: bool = False) -> None:
        self._loop = loop
        self._lenient = lenient_length
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._parser = HttpResponseParser(self)
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None
        self._lost = False
        self._expecting = False  # a reply is awaited or on its way: bytes at any other time are nobody's
        self._spent = False  # what it carries next could not be trusted
        self._error: ExchangeFailed | None = None
        self._head: ReplyHead | None = None
        self._head_only = False
        self._complete = False
        self._interim = False
        self._until_close = False
        self._beginning_odd = False
        self._upgrade = False
        self._reason = b""
        self._fields: Headers = []
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._overhead = 0
        self._leftover = b""
        self._news: list[tuple[int, Headers]] = []
        self._on_interim: Callable[[int, Headers], None] | None = None
        self._one_length: OneLength | None = None
        self._request_left: int | None = 0  # body bytes still owed; None: chunks until `end_body`
        self._continued = False
        self._read_paused = False
        self._write_paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._go_ahead: asyncio.Future[None] | None = None
        self._idle = 0.0
        self._quiet_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.reused = False
        self.bytes_written = 0
        self.bytes_seen = 0
        self.trailers: Headers = []
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
        body, 0 for any. `interim` hears 1xx replies other than 100 and 101.

        Raises `ConnectionDied` if the connection is known to be dead: nothing was written.
        """
        if self._lost or self._transport.is_closing():
            raise ConnectionDied("the connection was closed before the request", reused=self.reused, written=False)
        if self._head_only:
            # llhttp still waits for the body of the last reply to a HEAD.
            self._parser = HttpResponseParser(self)
        self._head_only = head_only
        self._head = None
        self._complete = False
        self._until_close = False
        self._upgrade = upgrade
        self._reason = b""
        self._fields = []
        self._pieces = []
        self._buffered = 0
        self._overhead = 0
        self._on_interim = interim
        self._request_left = length
        self._continued = False
        self._idle = idle
        self.trailers = []
        if self._lenient:
            self._one_length = OneLength()
        self.bytes_seen = 0
        self.bytes_written = len(data)
        self._expecting = True
        self._transport.write(data)

    def write_body(self, piece: bytes) -> None:
        """Send a piece of the request body in the framing that `send` announced; then await `drain`.

        More than was announced is our bug and is not sent: it would be the next request.
        """
        if self._request_left is None:
            if not piece:
                return  # an empty chunk would be the last one
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        elif len(piece) > self._request_left:
            raise ValueError(f"{len(piece)} body bytes where {self._request_left} are left to send")
        else:
            self._request_left -= len(piece)
        if self._lost or self._transport.is_closing():
            raise self._death()
        self.bytes_written += len(piece)
        self._transport.write(piece)

    def end_body(self, trailers: list[Header] | tuple[Header, ...] = ()) -> None:
        """The request body is complete. Trailers go only behind chunks; the last chunk is not sent twice.

        A body shorter than its declared length cannot be ended: the connection is closed.
        """
        if self._request_left is None:
            lines = b"".join(b"%b: %b\r\n" % field for field in trailers)
            self._request_left = 0
            self.bytes_written += 5 + len(lines)
            if not self._lost:
                self._transport.write(b"0\r\n%b\r\n" % lines)
        elif self._request_left:
            self.close()

    async def drain(self) -> None:
        """Wait until what was written may be followed by more. One waiter at a time."""
        while self._write_paused:
            if self._lost:
                raise self._death()
            self._drained = self._loop.create_future()
            await self._drained

    async def continued(self, patience: float) -> bool:
        """Wait for 100 before the body of a request with `Expect: 100-continue`.

        True: send the body now, since 100 came, or `patience` seconds passed and the upstream
        may never send one (RFC 9110, section 10.1.1). False: the final reply came first.
        """
        if not self._continued and self._head is None and self._error is None:
            self._go_ahead = waiter = self._loop.create_future()
            timer = self._loop.call_later(patience, _set, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._go_ahead = None
        return self._head is None and self._error is None

    # The reply.

    async def head(self) -> ReplyHead:
        """The final reply's head, with its body if all of it is here. Once per exchange."""
        while self._head is None and self._error is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._error is not None:
            raise self._error  # also when the head had come: better known now than after it was passed on
        head = cast("ReplyHead", self._head)
        if self._complete:
            head.whole = self._take()
        return head

    async def read(self) -> bytes:
        """All of the body that is here, or the next piece of it; `b""` at its end.

        Raises `ReplyCut`, `ReplyUnparseable` or `ReplyStalled` once what had come before is read.
        """
        while True:
            if self._pieces:
                return self._take()
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error
            self._waiter = self._loop.create_future()
            if self._idle:
                self._quiet_since = self._loop.time()
                if self._timer is None:
                    self._timer = self._loop.call_later(self._idle, self._check_silence)
            await self._waiter

    @property
    def complete(self) -> bool:
        """The reply has arrived to its end, read or not."""
        return self._complete

    @property
    def reusable(self) -> bool:
        """Nothing of an exchange is left on it, and both sides keep it open."""
        if self._lost or self._spent or self._expecting or self._request_left != 0 or self._transport.is_closing():
            return False
        return self._head is None or self._head.keep_alive

    def is_dead(self) -> bool:
        """Whether an idle connection is known to be gone, or has bytes that nobody asked for.

        Looks at the socket itself (0.3 us): the loop has not yet seen what arrived since its last turn.
        """
        if self._lost or self._spent or self._transport.is_closing():
            return True
        return self._poll is not None and bool(self._poll(0))

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """After 101: the transport and what came behind the head. The connection is spent.

        Reading is paused; whoever takes over sets a protocol and resumes it.
        """
        leftover, self._leftover = self._leftover, b""
        self._end()
        return self._transport, leftover

    def close(self) -> None:
        """End it now, whatever is on its way (idempotent)."""
        self._spent = True
        if not self._lost:
            self._transport.abort()

    def _take(self) -> bytes:
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        self._buffered = 0
        if self._read_paused:
            self._read_paused = False
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.peer = transport.get_extra_info("peername")
        raw = transport.get_extra_info("socket")
        # On TLS a readable socket may be a session ticket: there only its end counts.
        mask = select.POLLIN if transport.get_extra_info("ssl_object") is None else getattr(select, "POLLRDHUP", 0)
        if raw is not None and mask and hasattr(select, "poll"):
            poll = select.poll()
            poll.register(raw.fileno(), mask)
            self._poll = poll.poll

    def data_received(self, data: bytes) -> None:
        if not self._expecting:
            self._unasked(data)
            return
        if not self.bytes_seen:
            # llhttp takes HTTP/0.9 and HTTP/2.0 for a version; asking it costs 0.3 us.
            self._beginning_odd = not data.startswith(b"HTTP/1.")
        self.bytes_seen += len(data)
        if self._one_length is not None:
            data = self._one_length.feed(data)
        before = self._buffered
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as stop:
            self._transport.pause_reading()
            self._leftover = data[stop.args[0] :]
        except HttpParserError as error:
            if self._complete:
                self._spent = True
            elif self._error is None:
                self._error = ReplyUnparseable(str(error))
        if self._complete:
            self._expecting = False
        elif self._buffered != before:
            self._overhead = 0
            if self._buffered > HIGH_WATER and not self._read_paused:
                self._read_paused = True
                self._transport.pause_reading()
        else:
            self._overhead += len(data)
            if self._overhead > MAX_HEAD and self._error is None:
                self._error = ReplyUnparseable("more than 64 KiB that is not body")
        if self._news:
            self._tell_interim()
        if self._error is not None:
            self._expecting = False
            self.close()
        if self._head is not None or self._error is not None:
            waiter = self._waiter
            if waiter is not None:
                self._waiter = None
                if not waiter.done():
                    waiter.set_result(None)
            if self._go_ahead is not None:
                _set(self._go_ahead)

    def eof_received(self) -> None:
        # Acted on now: with bytes of ours still unsent, asyncio would wait to close until they are gone.
        self._ended(None)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._drained is not None:
            _set(self._drained)

    # Called by llhttp.

    def on_message_begin(self) -> None:
        if self._complete:
            self._spent = True

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        parser = self._parser
        status = parser.get_status_code()
        fields = self._fields
        self._fields = []
        if 100 <= status < 200 and status != 101:
            self._interim = True
            self._reason = b""
            if status != 100:
                self._news.append((status, fields))
            else:
                self._continued = True
                if self._go_ahead is not None:
                    _set(self._go_ahead)
            if self._lenient:
                self._one_length = OneLength()
            return
        self._one_length = None
        length = coding = None
        for name, value in fields:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                length = int(value)
            elif size == 17 and name.lower() == b"transfer-encoding":
                coding = value if coding is None else b"%b, %b" % (coding, value)
        self._head = head = ReplyHead(status, self._reason, fields, length, None, parser.should_keep_alive())
        problem = self._problem(head, coding)
        if problem:
            self._error = ReplyUnparseable(problem)
            self._head = None
        elif self._head_only:
            self._complete = True
            if not head.keep_alive:
                head.keep_alive = stays_open(parser.get_http_version(), fields)
        elif coding is None and length is None and status not in {101, 204, 304}:
            self._until_close = True

    def on_body(self, piece: bytes) -> None:
        if self._complete:
            self._spent = True
            return
        self._pieces.append(piece)
        self._buffered += len(piece)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self._complete:
            self._complete = True
            self.trailers = self._fields
            self._fields = []

    # What follows from it.

    def _problem(self, head: ReplyHead, coding: bytes | None) -> str:
        """Why a reply that llhttp lets pass cannot be used; empty when it can."""
        if self._beginning_odd and self._parser.get_http_version() not in {"1.0", "1.1"}:
            return "not HTTP/1.1"
        if head.status < 100:
            return f"status {head.status}"
        if coding is not None and coding.lower() != b"chunked":
            return f"Transfer-Encoding {coding.decode('latin-1')!r}: only chunked is read"
        if self.bytes_seen > MAX_HEAD and sum(len(name) + len(value) + 4 for name, value in head.headers) > MAX_HEAD:
            return "a head of more than 64 KiB"
        if head.status == 101:
            if not self._upgrade:
                return "101 that was not asked for"
            head.upgrade = next((value.lower() for name, value in head.headers if name.lower() == b"upgrade"), b"")
            head.keep_alive = False
        return ""

    def _tell_interim(self) -> None:
        news, self._news = self._news, []
        if self._on_interim is not None:
            for status, fields in news:
                self._on_interim(status, fields)

    def _unasked(self, data: bytes) -> None:
        """Bytes that belong to no exchange: kept for a tunnel, else the beginning of a forged reply."""
        if self._head is not None and self._head.status == 101:
            self._leftover += data
            return
        self.close()
        self._leave_pool()

    def _death(self) -> ExchangeFailed:
        return self._error or ConnectionDied("the connection is closed", reused=self.reused, written=True)

    def _ended(self, exc: Exception | None) -> None:
        if self._lost:
            return
        if self._expecting and self._error is None:
            if self._head is not None and self._until_close and exc is None:
                self._complete = True
            else:
                self._error = self._cut(exc)
        self._end()

    def _end(self) -> None:
        """Nothing can come any more: everybody who waits looks again."""
        self._lost = True
        self._expecting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in (self._waiter, self._drained, self._go_ahead):
            if waiter is not None:
                _set(waiter)
        self._leave_pool()

    def _cut(self, exc: Exception | None) -> ExchangeFailed:
        how = f"the connection was reset ({exc})" if exc is not None else "the upstream closed the connection"
        if not self.bytes_seen:
            return ConnectionDied(f"{how} before a byte of the reply", reused=self.reused, written=True)
        if self._head is None:
            return ReplyCut(f"{how} inside the reply's head")
        return ReplyCut(f"{how} inside the reply's body")

    def _leave_pool(self) -> None:
        if self.on_lost is not None:
            self.on_lost(self)

    def _check_silence(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done() or not self._expecting:
            return
        left = self._quiet_since + self._idle - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check_silence)
            return
        self._error = ReplyStalled(f"no byte of the reply for {self._idle:g} s")
        self._expecting = False
        self.close()
        _set(self._waiter)


def _set(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
