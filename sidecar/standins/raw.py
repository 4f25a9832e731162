"""What a server built on a good library would never send.

Each of these is a response to aiohttp, whose `prepare` writes its bytes past aiohttp
onto the transport and ends the connection in its own way.
"""

from __future__ import annotations

import enum
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

LINGER_ZERO = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST instead of FIN."""


class Ending(enum.Enum):
    """How the connection ends after the bytes."""

    CLOSE = enum.auto()
    """In order: what was written arrives, then FIN."""
    RESET = enum.auto()
    """RST. What was written before it has left already: it is small."""


class Raw(web.StreamResponse):
    """These bytes, exactly, and the connection's end."""

    def __init__(self, data: bytes, ending: Ending = Ending.CLOSE) -> None:
        super().__init__()
        self._data = data
        self._ending = ending

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if transport is not None:
            transport.write(self._data)
            if self._ending is Ending.RESET:
                connection = transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
                transport.abort()
            else:
                transport.close()
        # aiohttp takes this as a caller that went away: quiet, and nothing more is written.
        raise ConnectionResetError


def reset() -> Raw:
    """Not a byte of a reply."""
    return Raw(b"", Ending.RESET)


def reset_body() -> Raw:
    """A good head and a part of its body."""
    return Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100, Ending.RESET)


def short() -> Raw:
    """100 of 1,000 promised bytes."""
    return Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100)


def long() -> Raw:
    """1,000 bytes where 100 were promised: the rest looks like the next reply, and is none."""
    return Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 1000)


def garbage() -> Raw:
    """No HTTP at all."""
    return Raw(b"\x00\x01\x02 this is no HTTP \xff\xfe\r\n\r\n")


def trailers() -> Raw:
    """A chunked body with two trailer fields (RFC 9112, section 7.1.2)."""
    return Raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTrailer: X-Checksum, X-Rows\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"6\r\nhello \r\n5\r\nworld\r\n0\r\nX-Checksum: 5eb63bbb\r\nX-Rows: 2\r\n\r\n"
    )


def early_hints() -> Raw:
    """An interim reply (RFC 8297) and then the real one."""
    return Raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
    )


def cut() -> Raw:
    """The end of a chunked stream without its last chunk: after this no reader may take it for complete."""
    return Raw(b"")


def gone() -> Raw:
    """Nothing: the caller has left."""
    return Raw(b"")
