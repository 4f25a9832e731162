"""The upstream of the gRPC rows: `python bench/echo.py PORT` gives each unary call its own message back.

gRPC on the wire (HTTP/2 without TLS), and no more than an echo needs: which method is called does not matter, so header
blocks are passed over unread. A call costs 4 us. grpcio's own server takes 100, and a proxy that waits for its upstream
wakes up for each call alone: Envoy then looked three times as dear as it is.

No window is counted: what is on its way at any time is a few kilobytes, and callers must allow 64 KiB.
"""

import asyncio
import gc
import sys
from typing import cast

import uvloop

PREFACE = 24
"""Bytes of "PRI * HTTP/2.0…", which a client sends first (RFC 9113, section 3.4)."""
HEAD = 9
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
ENOUGH = 1 << 19
"""Bytes taken before the caller is told that it may send as many more."""


def frame(kind: int, flags: int, stream: bytes, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field that no table keeps (RFC 7541, section 6.2.2)."""
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


CONNECTION = bytes(4)
INITIAL = b"\x88" + literal(b"content-type", b"application/grpc")
"""`:status: 200` has a place in the static table."""
TRAILING = literal(b"grpc-status", b"0")
WINDOW = (1 << 20).to_bytes(4, "big")
HELLO = frame(SETTINGS, 0, CONNECTION, b"\0\4" + WINDOW) + frame(WINDOW_UPDATE, 0, CONNECTION, WINDOW)


class Echo(asyncio.BufferedProtocol):
    """One connection. All that a read brings is answered in one write."""

    def __init__(self) -> None:
        self._buffer = bytearray(1 << 17)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._at = PREFACE
        self._taken = 0
        self._bodies: dict[bytes, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(HELLO)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        buffer, at, filled = self._buffer, self._at, self._filled
        answers: list[bytes] = []
        while filled - at >= HEAD:
            end = at + HEAD + int.from_bytes(buffer[at : at + 3], "big")
            if end > filled:
                break
            kind, flags, stream = buffer[at + 3], buffer[at + 4], bytes(buffer[at + 5 : at + HEAD])
            if kind == DATA:
                self._data(flags, stream, bytes(self._view[at + HEAD : end]), answers)
            elif kind in (SETTINGS, PING) and not flags & ACK:
                answers.append(frame(kind, ACK, stream, bytes(buffer[at + HEAD : end]) if kind == PING else b""))
            at = end
        if at >= filled:
            self._filled, self._at = 0, at - filled
        else:
            buffer[: filled - at] = buffer[at:filled]
            self._filled, self._at = filled - at, 0
        if answers:
            self._transport.write(b"".join(answers))

    def _data(self, flags: int, stream: bytes, piece: bytes, answers: list[bytes]) -> None:
        self._taken += len(piece)
        if self._taken > ENOUGH:
            answers.append(frame(WINDOW_UPDATE, 0, CONNECTION, self._taken.to_bytes(4, "big")))
            self._taken = 0
        if flags & PADDED:
            piece = piece[1 : len(piece) - piece[0]]
        message = self._bodies.pop(stream, b"") + piece
        if flags & END_STREAM:
            answers += (
                frame(HEADERS, END_HEADERS, stream, INITIAL),
                frame(DATA, 0, stream, message),
                frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILING),
            )
        else:
            self._bodies[stream] = message


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    gc.freeze()
    uvloop.run(main(int(sys.argv[1])))
