"""Bytes of a caller become requests: llhttp and what it leaves to us.

llhttp cannot be paused and counts nothing, so bytes are fed in pieces, the
limits are checked while it parses, and once a request waits to be served the
rest is handed back unparsed. The callbacks only collect: a request is judged
once, at the end of its head.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from sidecar.errors import HeaderTooLarge, Refused
from sidecar.http1.fields import REMADE_OF_REQUEST, forwardable
from sidecar.http1.request import Request
from sidecar.http1.request_head import judge, refusal

if TYPE_CHECKING:
    from sidecar.call import Headers
    from sidecar.http1.server import ServerConnection

HEAD_PIECE = 16 * 1024
"""Fed at once between requests: at most some 600 of the smallest requests can be in it."""

BODY_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a caller may send, and how slowly. Times in seconds, 0 for no limit."""

    max_headers: int = 128
    max_header_bytes: int = 32 * 1024
    header_timeout: float = 10.0
    """For a head, from its first byte: 408."""
    body_timeout: float = 60.0
    """Longest silence inside a body: reading it fails with `RequestTimeout`."""
    keepalive: float = 75.0
    """For an idle connection: closed silently."""


class Intake:
    """The parser of one connection.

    `waiting` are the requests whose head is complete, in order; the last one may be
    `receiving` its body still. `in_head`: a head has begun and is not complete.
    `ended`: the caller said that nothing follows.
    """

    __slots__ = (
        "_body_follows", "_connection", "_fresh", "_headers", "_idle_bytes", "_kept", "_limits", "_parser",
        "_piece_size", "_split", "_target", "ended", "in_head", "kept", "receiving", "waiting",
    )  # fmt: skip

    def __init__(self, connection: ServerConnection, limits: ServerLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._parser = HttpRequestParser(self)
        self._headers: Headers = []
        self._target = b""
        self._piece_size = 0
        self._split = False
        """A head had begun before the piece that is parsed now."""
        self._fresh = True
        """Nothing has come yet."""
        self._idle_bytes = 0
        """Bytes of earlier pieces that made neither a whole head nor a byte of a body."""
        self._body_follows = False
        self.waiting: deque[Request] = deque()
        self.receiving: Request | None = None
        self.in_head = False
        self.ended = False
        self._kept: list[bytes] = []
        self.kept = 0

    def take(self, data: bytes) -> None:
        """Parse; what follows a waiting request is kept unparsed.

        Raises `Refused` for what must not be served. The request it belongs to, if its
        head was complete, is then still `receiving`; nothing more can be parsed.
        """
        if len(data) <= HEAD_PIECE:
            self._feed(data)
            return
        at = 0
        while at < len(data):
            if self.receiving is None and self.waiting:
                self.keep(data[at:])
                return
            step = HEAD_PIECE if self.receiving is None else BODY_PIECE
            self._feed(data[at : at + step])
            at += step

    def keep(self, data: bytes) -> None:
        """Not to be parsed before the waiting requests have been served: they may end the connection or switch it."""
        self._kept.append(data)
        self.kept += len(data)

    def release(self) -> bytes:
        """All that was kept, in order."""
        data = b"".join(self._kept)
        self._kept.clear()
        self.kept = 0
        return data

    def forget(self) -> None:
        """Break the cycle between the parser and its callbacks: memory goes with the connection."""
        del self._parser

    def _feed(self, piece: bytes) -> None:
        self._split = split = self.in_head
        fresh, self._fresh = self._fresh, False
        receiving = self.receiving
        arrived = receiving.arrived if receiving is not None else 0
        self._piece_size = len(piece)
        stopped_at = -1
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade as stopped:
            stopped_at = stopped.args[0]
        except HttpParserError as error:
            if self.ended:
                return  # bytes after a last request are not ours to read
            if isinstance(error, HttpParserCallbackError) and error.__context__ is not None:
                raise error.__context__ from None  # a callback of ours refused
            raise refusal(str(error), piece if fresh else b"") from None
        if stopped_at >= 0:
            self._after_upgrade(piece[stopped_at:])
        if self.in_head:
            self._count(idle=split)
        elif self.receiving is not None:
            self._count(idle=self.receiving is receiving and self.receiving.arrived == arrived)

    def _count(self, *, idle: bool) -> None:
        """A head, trailers or chunk extensions that never end are held to the limit of a head."""
        self._idle_bytes = self._idle_bytes + self._piece_size if idle else 0
        if self._idle_bytes > self._limits.max_header_bytes or len(self._headers) > self._limits.max_headers:
            raise self._too_large()

    def _after_upgrade(self, rest: bytes) -> None:
        """Go on where llhttp stopped: behind a head that asks for an upgrade, as if no body could follow it.

        If one follows, a head of our own with the same framing brings llhttp back to where it
        should be. Else `rest` may be the new protocol's, and is kept.
        """
        if not self._body_follows:
            self.keep(rest)
            return
        self._body_follows = False
        request = self.receiving
        assert request is not None
        framing = b"Transfer-Encoding: chunked" if request.length is None else b"Content-Length: %d" % request.length
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self._target = b""
        self._headers.clear()
        self._feed(rest)

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
            # Measured only if it may be: it came in several pieces or in a large one.
            (self._split or self._piece_size > limits.max_header_bytes)
            and len(self._target) + _size(headers) > limits.max_header_bytes
        ):
            raise self._too_large()
        parser = self._parser
        method = parser.get_method()
        onward, fields = forwardable(headers, REMADE_OF_REQUEST)
        judged = judge(method, self._target, parser.get_http_version(), fields)
        request = Request(self._connection, method, judged, headers, onward, fields, parser.should_keep_alive())
        self._headers = request.trailers
        self._target = b""
        self._idle_bytes = 0
        self.in_head = False
        self.receiving = request
        self.waiting.append(request)
        if b"upgrade" in fields:
            self._body_follows = request.length != 0 and parser.should_upgrade()

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
