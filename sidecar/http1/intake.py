"""Bytes of a caller become requests: llhttp and what it leaves to us.

llhttp cannot be paused and counts nothing, so bytes are fed in pieces, the
limits are checked while it parses, and once a request waits to be served the
rest is handed back unparsed. The callbacks only collect: a request is judged
once, at the end of its head.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from sidecar.errors import HeaderTooLarge, Refused
from sidecar.http1.fields import forwardable
from sidecar.http1.request import Request
from sidecar.http1.request_head import judge, refusal

if TYPE_CHECKING:
    from sidecar.call import Headers
    from sidecar.http1.server import ServerConnection, ServerLimits

HEAD_PIECE = 16 * 1024
"""Fed at once between requests: at most some 600 of the smallest requests can be in it."""

BODY_PIECE = 64 * 1024


class Intake:
    """The parser of one connection.

    `waiting` are the requests whose head is complete, in order; the last one may be
    `receiving` its body still. `in_head`: a head has begun and is not complete.
    `ended`: the caller said that nothing follows.
    """

    __slots__ = (
        "_body_follows", "_connection", "_headers", "_idle_bytes", "_limits", "_parser", "_piece_size", "_target",
        "ended", "in_head", "receiving", "waiting",
    )  # fmt: skip

    def __init__(self, connection: ServerConnection, limits: ServerLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._parser = HttpRequestParser(self)
        self._headers: Headers = []
        self._target = b""
        self._piece_size = 0
        self._idle_bytes = 0
        """Bytes of earlier pieces that made neither a whole head nor a byte of a body."""
        self._body_follows = False
        self.waiting: deque[Request] = deque()
        self.receiving: Request | None = None
        self.in_head = False
        self.ended = False

    def take(self, data: bytes) -> bytes:
        """Parse, and return what is to wait until the waiting requests have been served.

        Raises `Refused` for what must not be served. The request it belongs to, if its
        head was complete, is then still `receiving`; nothing more can be parsed.
        """
        if len(data) <= HEAD_PIECE:
            return self._feed(data)
        view = memoryview(data)
        while view:
            if self.receiving is None and self.waiting:
                return bytes(view)
            step = HEAD_PIECE if self.receiving is None else BODY_PIECE
            early = self._feed(bytes(view[:step]))
            view = view[step:]
            if early:
                return early + bytes(view)
        return b""

    def forget(self) -> None:
        """Break the cycle between the parser and its callbacks: memory goes with the connection."""
        del self._parser

    def _feed(self, piece: bytes) -> bytes:
        early = b""
        in_head = self.in_head
        receiving = self.receiving
        arrived = receiving.arrived if receiving is not None else 0
        self._piece_size = len(piece)
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade as stopped:
            early = self._after_upgrade(piece[stopped.args[0] :])
        except HttpParserError as error:
            if self.ended:
                return b""  # bytes after a last request are not ours to read
            if (cause := error.__context__) is not None:
                raise cause from None
            raise refusal(str(error), piece) from None
        if self.in_head:
            self._count(idle=in_head)
        elif self.receiving is not None:
            self._count(idle=self.receiving is receiving and self.receiving.arrived == arrived)
        return early

    def _count(self, *, idle: bool) -> None:
        """A head, trailers or chunk extensions that never end are held to the limit of a head."""
        self._idle_bytes = self._idle_bytes + self._piece_size if idle else 0
        if self._idle_bytes > self._limits.max_header_bytes or len(self._headers) > self._limits.max_headers:
            raise self._too_large()

    def _after_upgrade(self, rest: bytes) -> bytes:
        """Go on where llhttp stopped: behind a head that asks for an upgrade, as if no body could follow it.

        If one follows, a head of our own with the same framing brings llhttp back to where it
        should be. Else `rest` may be the new protocol's.
        """
        if not self._body_follows:
            return rest
        self._body_follows = False
        request = self.receiving
        assert request is not None
        framing = b"Transfer-Encoding: chunked" if request.length is None else b"Content-Length: %d" % request.length
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self._target = b""
        self._headers.clear()
        return self._feed(rest) if rest else b""

    # What llhttp calls.

    def on_message_begin(self) -> None:
        self.in_head = self.receiving is None

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head this is the request's list of trailers.
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.receiving is not None:
            return  # the head of our own, see _after_upgrade
        headers = self._headers
        limits = self._limits
        if len(headers) > limits.max_headers or (
            # Only when all that was read is over the limit must the head itself be measured.
            self._idle_bytes + self._piece_size > limits.max_header_bytes
            and len(self._target) + _size(headers) > limits.max_header_bytes
        ):
            raise self._too_large()
        parser = self._parser
        method = parser.get_method()
        onward, fields = forwardable(headers)
        judged = judge(method, self._target, parser.get_http_version(), fields)
        request = Request(self._connection, method, judged, headers, onward, fields, parser.should_keep_alive())
        self._headers = request.trailers
        self._target = b""
        self._idle_bytes = 0
        self.in_head = False
        self.receiving = request
        self.waiting.append(request)
        if b"upgrade" in fields:
            self._body_follows = judged.length != 0 and parser.should_upgrade()

    def on_body(self, piece: bytes) -> None:
        request = self.receiving
        assert request is not None
        if request.feed(piece):
            self._connection.body_waits()

    def on_message_complete(self) -> None:
        if self._body_follows:
            return
        request = self.receiving
        assert request is not None
        limits = self._limits
        if (trailers := request.trailers) and (
            len(trailers) > limits.max_headers or _size(trailers) > limits.max_header_bytes
        ):
            raise self._too_large()
        request.finish()
        self.receiving = None
        self._headers = []
        self._idle_bytes = 0
        if not request.keep_alive and not request.upgrade:
            self.ended = True

    def _too_large(self) -> Refused:
        limits = self._limits
        return HeaderTooLarge(f"more than {limits.max_headers} fields or {limits.max_header_bytes} bytes of them")


def _size(headers: Headers) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
