"""Bytes both ways between two connections until both sides have ended (after 101, RFC 9110, section 7.8).

An end of one direction is carried over while the other goes on, where the transports
can (TLS cannot: there an end closes both). A side that reads slowly pauses the other,
so that no more than the transports' own 64 KiB each way are held.
"""

from __future__ import annotations

import asyncio


class _Side(asyncio.Protocol):
    """One of the two connections: what it receives is written to `other`."""

    __slots__ = ("ended", "gone", "other", "received", "transport")

    def __init__(self, transport: asyncio.Transport, gone: asyncio.Future[None]) -> None:
        self.transport = transport
        self.gone = gone
        self.other = self
        self.received = 0
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if not self.other.transport.is_closing():
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """True keeps this side open for what the other still sends."""
        self.ended = True
        other = self.other.transport
        halves = self.transport.can_write_eof() and other.can_write_eof()
        if halves and not self.other.ended and not other.is_closing():
            other.write_eof()
            return True
        other.close()  # once its last bytes are out
        return False

    def pause_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self.other.transport.close()
        else:
            self.other.transport.abort()  # what was cut must not wait for a slow reader
        self.mark_gone()

    def mark_gone(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)


async def splice(
    caller: asyncio.Transport, from_caller: bytes, upstream: asyncio.Transport, from_upstream: bytes
) -> tuple[int, int]:
    """Copy until both connections are closed; the bytes that came from the caller and from the upstream.

    `from_caller` and `from_upstream` have been read already and go first. Takes both
    transports over, and ends both when cancelled.
    """
    loop = asyncio.get_running_loop()
    here = _Side(caller, loop.create_future())
    there = _Side(upstream, loop.create_future())
    here.other, there.other = there, here
    caller.set_protocol(here)
    upstream.set_protocol(there)
    try:
        here.data_received(from_caller)
        there.data_received(from_upstream)
        for side in (here, there):
            if side.transport.is_closing():  # it ended before we took over, and may have told so already
                side.connection_lost(None)
            else:
                side.transport.resume_reading()
        await here.gone
        await there.gone
    finally:
        caller.abort()
        upstream.abort()
    return here.received, there.received
