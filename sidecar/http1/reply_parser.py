"""A reply as llhttp tells it: the callbacks store, `feed` draws the conclusions.

What llhttp leaves to us is here: the end of a reply that has no body whatever it
says (HEAD, CONNECT), interim replies, versions and codings it takes but we do not,
and all limits of size. Whatever follows a complete reply makes the connection
`spent`: it is the beginning of no reply that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from sidecar.http1.failures import ReplyUnparseable
from sidecar.http1.reply import MAX_HEAD, OneLength, ReplyHead, stays_open

if TYPE_CHECKING:
    from sidecar.call import Headers
    from sidecar.http1.failures import ExchangeFailed


class ReplyParser:
    """Parses one reply at a time. `begin` before each; then `feed` until `complete` or `error`.

    A close-delimited reply (`until_close`) is complete when the connection has ended well,
    which the owner of the connection knows. `pieces` of the body are taken away by their
    reader, who sets `buffered` back to 0. `news` are interim replies (not 100, which sets
    `continued`). `leftover` is what came behind a 101.
    """

    __slots__ = (
        "_fields", "_head_only", "_interim", "_lenient", "_odd_version", "_one_length", "_overhead", "_parser",
        "_reason", "_upgrade", "buffered", "bytes_seen", "complete", "continued", "error", "final", "leftover",
        "news", "pieces", "spent", "trailers", "until_close",
    )  # fmt: skip

    def __init__(self, *, lenient_length: bool) -> None:
        self._lenient = lenient_length
        self._parser = HttpResponseParser(self)
        self._head_only = False
        self._interim = False
        self.error: ExchangeFailed | None = None
        self.leftover = b""
        self.news: list[tuple[int, Headers]] = []
        self.spent = False
        self.begin(head_only=False, upgrade=False)

    def begin(self, *, head_only: bool, upgrade: bool) -> None:
        """Forget the last reply."""
        if self._head_only:
            # llhttp still waits for the body of the last one.
            self._parser = HttpResponseParser(self)
        self._head_only = head_only
        self._upgrade = upgrade
        self._reason = b""
        self._fields: Headers = []
        self._overhead = 0
        self._odd_version = False
        self._one_length = OneLength() if self._lenient else None
        self.final: ReplyHead | None = None
        self.until_close = False
        self.complete = False
        self.continued = False
        self.pieces: list[bytes] = []
        self.buffered = 0
        self.bytes_seen = 0
        self.trailers: Headers = []

    def feed(self, data: bytes) -> None:
        """Parse what came, while a reply is awaited. Problems are left in `error`."""
        if not self.bytes_seen:
            # llhttp takes HTTP/0.9 and HTTP/2.0 for a version; asking it each time costs 0.3 us.
            self._odd_version = not data.startswith(b"HTTP/1.")
        self.bytes_seen += len(data)
        if self._one_length is not None:
            data = self._one_length.feed(data)
        before = self.buffered
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as stop:
            self.leftover = data[stop.args[0] :]
        except HttpParserError as error:
            if self.complete:
                self.spent = True
            elif self.error is None:
                self.error = ReplyUnparseable(str(error))
        if self.complete:
            return
        if self.buffered != before:
            self._overhead = 0
            return
        self._overhead += len(data)
        if self._overhead > MAX_HEAD and self.error is None:
            self.error = ReplyUnparseable("more than 64 KiB that is not body")

    # Called by llhttp.

    def on_message_begin(self) -> None:
        if self.complete:
            self.spent = True

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        parser = self._parser
        status = parser.get_status_code()
        fields = self._fields
        self._fields = []
        if 100 <= status < 200 and status != 101:
            self._note_interim(status, fields)
            return
        self._one_length = None
        length = coding = None
        for name, value in fields:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                length = int(value)
            elif size == 17 and name.lower() == b"transfer-encoding":
                coding = value if coding is None else b"%b, %b" % (coding, value)
        head = ReplyHead(status, self._reason, fields, length, None, parser.should_keep_alive())
        if coding is not None or status < 200 or self._odd_version or self.bytes_seen > MAX_HEAD:
            problem = self._problem(head, coding)
            if problem:
                self.error = ReplyUnparseable(problem)
                return
        self.final = head
        if self._head_only:
            self.complete = True
            if not head.keep_alive:
                head.keep_alive = stays_open(parser.get_http_version(), fields)
        elif coding is None and length is None and status not in {101, 204, 304}:
            self.until_close = True

    def on_body(self, piece: bytes) -> None:
        if self.complete:
            self.spent = True
            return
        self.pieces.append(piece)
        self.buffered += len(piece)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self.complete:
            self.complete = True
            self.trailers = self._fields
            self._fields = []

    def _note_interim(self, status: int, fields: Headers) -> None:
        self._interim = True
        self._reason = b""
        if status == 100:
            self.continued = True
        else:
            self.news.append((status, fields))

    def _problem(self, head: ReplyHead, coding: bytes | None) -> str:
        """Why a reply that llhttp lets pass cannot be used; empty when it can."""
        if self._odd_version and self._parser.get_http_version() not in {"1.0", "1.1"}:
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
