"""How a reply is put on the wire (RFC 9112): status line, framing, date.

Pure functions and tables. Which framing a reply gets is decided in `request.py`,
which knows the request it answers.
"""

from __future__ import annotations

import http
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.call import Header

CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"
UPGRADE = b"Connection: upgrade\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_REASONS = {status.value: status.phrase.encode("ascii") for status in http.HTTPStatus}
_LINES = {status: b"HTTP/1.1 %d %b\r\n" % (status, reason) for status, reason in _REASONS.items()}


def status_line(status: int, reason: bytes = b"") -> bytes:
    """The first line, with the phrase of the standard unless another one is given.

    Always HTTP/1.1: a server tells its own version, whatever the caller's is
    (RFC 9110, section 2.5).
    """
    if not reason:
        line = _LINES.get(status)
        if line is not None:
            return line
    return b"HTTP/1.1 %d %b\r\n" % (status, reason)


def has_no_body(status: int) -> bool:
    """These end at their head, whatever their fields say (RFC 9112, section 6.3)."""
    return status in (204, 304) or status < 200


def chunk(piece: bytes) -> bytes:
    """One chunk of a chunked body; `piece` is not empty, for that would be the last one."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def last_chunk(trailers: Iterable[Header] = ()) -> bytes:
    """The end of a chunked body, with the fields that follow it."""
    if not trailers:
        return b"0\r\n\r\n"
    return b"0\r\n%b\r\n" % b"".join([b"%b: %b\r\n" % pair for pair in trailers])


class DateLine:
    """The `Date` field, made once a second: `formatdate` costs 2 us, this 0.1."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def __call__(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode("ascii")
        return self._line
