"""One request of a caller, and the reply to it.

`ServerConnection` makes it and hands it to `serve`, which reads the body and
replies through it. Whatever happens to the caller meanwhile, the methods here
stay safe to call: with nobody left to answer they do nothing, `read` and
`drain` fail with `CallerLeft`, and the task that serves is cancelled.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from sidecar.http1.reply_framing import (
    CHUNKED,
    CLOSE,
    CONTINUE,
    KEEP_ALIVE,
    UPGRADE,
    chunk,
    has_no_body,
    last_chunk,
    status_line,
)
from sidecar.http1.request_head import HTTP_11

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from sidecar.call import Header, Headers
    from sidecar.http1.request_head import Judged
    from sidecar.http1.server import ServerConnection

MARK = 64 * 1024
"""High-water mark each way (rule 9): beyond so many bytes the other side is paused."""

DRAINABLE = 64 * 1024
"""So much of an unread body is thrown away to keep the connection; a longer one costs the connection."""


STUCK = 300.0
"""Seconds without a byte taken, after which a caller is given up (Envoy's stream idle timeout is the same)."""


class _Framing(enum.Enum):
    NONE = enum.auto()
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    UNTIL_CLOSE = enum.auto()
    TUNNEL = enum.auto()


class Request:
    """A request, delivered when its head is complete.

    `headers` are all fields as received; `onward` those that may be passed on,
    `fields` the index of all (`http1.fields.forwardable`). `target` is in origin-form
    or `*`, `host` the authority it is for. `length` is the body's, None when chunked.
    `whole` is the body if all of it was there when serving began, else None.
    `trailers` are complete when the body is.
    """

    __slots__ = (
        "_connection", "_error", "_framing", "_left", "_pieces", "_reader", "_size", "answered", "arrived",
        "close_after", "complete", "dropped", "expects_continue", "fields", "finished", "headers", "host", "keep_alive",
        "length", "method", "onward", "target", "trailers", "upgrade", "version", "whole",
    )  # fmt: skip

    def __init__(
        self,
        connection: ServerConnection,
        method: bytes,
        judged: Judged,
        headers: Headers,
        onward: Headers,
        fields: dict[bytes, bytes],
        keep_alive: bool,
    ) -> None:
        self._connection = connection
        self.method = method
        self.target, self.host, self.version, self.length, self.upgrade, self.expects_continue = judged
        self.headers = headers
        self.onward = onward
        self.fields = fields
        self.keep_alive = keep_alive
        self.trailers: Headers = []
        self.whole: bytes | None = None
        self.complete = False
        self.arrived = 0
        """Bytes of the body that have come; `dropped`: those after the reply, which nobody reads."""
        self.dropped = 0
        self._pieces: list[bytes] = []
        self._size = 0
        self._reader: asyncio.Future[bytes] | None = None
        self._error: Exception | None = None
        self.answered = False
        """A reply's head has been written; `finished`: its end, too."""
        self.finished = False
        self.close_after = False
        """The connection ends with this reply; set before the reply's head, the caller is told so."""
        self._framing = _Framing.NONE
        self._left = 0

    @property
    def peer(self) -> str:
        """The caller's address without the port; `unix` on a unix socket."""
        return self._connection.peer

    @property
    def local(self) -> str:
        """Our address without the port; empty on a unix socket."""
        return self._connection.local

    @property
    def secure(self) -> bool:
        return self._connection.secure

    # The body, as the reader sees it.

    def read(self) -> bytes | asyncio.Future[bytes]:
        """The next piece of the body, at once or as a future; `b""` at its end.

        Not to be called again before that future is done. The future fails with
        `CallerLeft`, `RequestTimeout`, `InvalidRequest` or `HeaderTooLarge` (trailers).
        The first read asks the caller for the body if it expects that.
        """
        pieces = self._pieces
        if pieces:
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._size = 0
            self._connection.body_taken()
            return piece
        if self.complete:
            return b""
        future = self._connection.loop.create_future()
        if self._error is not None:
            _fail(future, self._error)
            return future
        self._reader = future
        if self.expects_continue:
            self.send_continue()
        self._connection.body_wanted()
        return future

    def send_continue(self) -> None:
        """Tell the caller to send the body, unless it does already or has its reply (RFC 9110, section 10.1.1)."""
        if self.expects_continue:
            self.expects_continue = False
            if not self.answered and not self.arrived and not self._connection.closing:
                self._connection.transport.write(CONTINUE)

    # The body, as the connection sees it.

    def feed(self, piece: bytes) -> bool:
        """A piece has come; True when so much waits unread that reading should pause."""
        self.arrived += len(piece)
        self.expects_continue = False  # it did not wait for our word
        if self.finished:  # nobody will read it
            self.dropped += len(piece)
            return False
        reader = self._reader
        if reader is not None:
            self._reader = None
            if not reader.done():
                reader.set_result(piece)
                return False
        self._pieces.append(piece)
        self._size += len(piece)
        return self._size > MARK

    def finish(self) -> None:
        """The body has come to its end."""
        self.complete = True
        reader = self._reader
        if reader is not None:
            self._reader = None
            if not reader.done():
                reader.set_result(b"")

    def fail(self, error: Exception) -> None:
        """The rest of the body will not come; what has come can still be read."""
        if self.complete or self._error is not None:
            return
        self._error = error
        reader = self._reader
        if reader is not None:
            self._reader = None
            if not reader.done():
                _fail(reader, error)

    def settle(self) -> None:
        """Serving begins: a body that is all here becomes `whole`."""
        if self.complete:
            pieces = self._pieces
            if not pieces:
                self.whole = b""
            else:
                self.whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def discard(self) -> None:
        """What has not been read is dropped."""
        self._pieces.clear()
        self._size = 0

    @property
    def error(self) -> Exception | None:
        """Why the body ended early."""
        return self._error

    # The reply.

    def respond(self, status: int, head: bytes, body: bytes = b"", *, reason: bytes = b"", dated: bool = False) -> None:
        """The whole reply, in one write.

        `head` is field lines, each with its CRLF, without framing and `Connection`; a
        `Date` is added unless it is `dated` already. To HEAD the body is not sent, only
        its length (none if it is empty; `start` can tell another).
        """
        self._begin()
        self.finished = True
        connection = self._connection
        if connection.closing:
            return
        line = status_line(status, reason)
        date = b"" if dated else connection.date()
        if self.method == b"HEAD" or has_no_body(status):
            length = b"Content-Length: %d\r\n" % len(body) if body and status != 204 else b""
            body = b""
        else:
            length = b"Content-Length: %d\r\n" % len(body)
        connection.transport.write(b"".join((line, date, head, length, self._persistence(), b"\r\n", body)))

    def start(self, status: int, head: bytes, length: int | None, *, reason: bytes = b"", dated: bool = False) -> None:
        """The reply's head; `write` and `end` follow. `length` is the body's, None if it is not known.

        Without a length the body is chunked, or ends with the connection for HTTP/1.0.
        With 101 the connection is ready for `detach`.
        """
        self._begin()
        connection = self._connection
        date = b"" if dated else connection.date()
        framing = b""
        if status == 101:
            self._framing = _Framing.TUNNEL
            persistence = UPGRADE
        else:
            if self.method == b"HEAD" or has_no_body(status):
                self._framing = _Framing.NONE
                if length is not None and status != 204:
                    framing = b"Content-Length: %d\r\n" % length
            elif length is not None:
                self._framing = _Framing.LENGTH
                self._left = length
                framing = b"Content-Length: %d\r\n" % length
            elif self.version is HTTP_11:
                self._framing = _Framing.CHUNKED
                framing = CHUNKED
            else:
                self._framing = _Framing.UNTIL_CLOSE
                self.close_after = True
            persistence = self._persistence(whole=False)
        if not connection.closing:
            connection.transport.write(
                b"".join((status_line(status, reason), date, head, framing, persistence, b"\r\n"))
            )

    def write(self, piece: bytes) -> bool:
        """The next piece of the reply's body. False: the caller is slow, `await drain()` before the next one.

        Raises RuntimeError, with nothing written, when it is more than the declared length.
        """
        connection = self._connection
        if not piece or connection.closing:
            return True
        framing = self._framing
        if framing is _Framing.CHUNKED:
            connection.transport.write(chunk(piece))
        elif framing is _Framing.LENGTH:
            self._left -= len(piece)
            if self._left < 0:
                raise RuntimeError(f"the reply is {-self._left} bytes longer than its Content-Length")
            connection.transport.write(piece)
        elif framing is _Framing.UNTIL_CLOSE:
            connection.transport.write(piece)
        return not connection.writing_paused

    async def drain(self) -> None:
        """Until the caller has taken enough of what was written. Raises `CallerLeft`.

        One that takes nothing for `STUCK` seconds holds an upstream for nobody: its connection is aborted.
        """
        stuck = self._connection.loop.call_later(STUCK, self._connection.abort)
        try:
            await self._connection.writable()
        finally:
            stuck.cancel()

    def end(self, trailers: Iterable[Header] = ()) -> None:
        """The reply is complete. One that is shorter than its Content-Length is aborted instead.

        `trailers` are sent if the body is chunked (RFC 9110, section 6.5), else dropped.
        """
        if self.finished:
            return
        if not self.answered:
            raise RuntimeError("a reply must start before it ends")
        if self._framing is _Framing.LENGTH and self._left > 0:
            self.abort()
            return
        self.finished = True
        if self._framing is _Framing.CHUNKED and not self._connection.closing:
            self._connection.transport.write(last_chunk(trailers))

    def abort(self) -> None:
        """End the connection so that the reply cannot look finished.

        What was written before still reaches the caller (an error event of its dialect,
        say). A missing last chunk or missing bytes then say that the reply was cut; one
        that ends with the connection is cut by a reset.
        """
        self.finished = self.close_after = True
        self._connection.cut(reset=not self.answered or self._framing is _Framing.UNTIL_CLOSE)

    def interim(self, status: int, head: bytes) -> None:
        """A 1xx reply such as 103 Early Hints; HTTP/1.0 knows none (RFC 9110, section 15.2)."""
        if self.version is HTTP_11 and not self.answered and not self._connection.closing:
            self._connection.transport.write(b"%b%b\r\n" % (status_line(status), head))

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """After a 101: the transport, now the tunnel's, and the bytes that came early.

        Set the transport's protocol before the next await. The connection counts as open
        until `serve` returns; then it is closed.
        """
        if self._framing is not _Framing.TUNNEL:
            raise RuntimeError("only a connection that was switched (101) can be detached")
        self.finished = True
        return self._connection.detach()

    def _begin(self) -> None:
        if self.answered:
            raise RuntimeError("a request is answered once")
        self.answered = True

    def _persistence(self, *, whole: bool = True) -> bytes:
        """The `Connection` line. It is decided here whether the connection goes on (RFC 9112, section 9.3).

        `whole`: the reply is complete with its head, so nobody will read what is left of the body.
        """
        if not self.complete and not self.close_after:
            self.close_after = self._error is not None or self.expects_continue or (whole and not self.drainable)
        if self.close_after or not self.keep_alive or self._connection.registry.draining:
            self.close_after = True
            return CLOSE
        return b"" if self.version is HTTP_11 else KEEP_ALIVE

    @property
    def drainable(self) -> bool:
        """What is still to come of the body is known to be little."""
        return self.complete or (self.length is not None and self.length - self.arrived <= DRAINABLE)


def _fail(future: asyncio.Future[bytes], error: Exception) -> None:
    future.set_exception(error)
    future.exception()  # its reader may be cancelled before it looks: that is no "never retrieved"
