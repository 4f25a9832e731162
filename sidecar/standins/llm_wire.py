"""Bytes of a stand-in provider's replies, written past aiohttp onto its transport.

aiohttp reads the requests; every byte that goes back is written here, so that a reply
can be wrong in any way a socket allows. A reply that ended in order leaves the
connection to the next request.
"""

from __future__ import annotations

import asyncio
import http
import socket
import zlib
from email.utils import formatdate
from typing import TYPE_CHECKING, Never

from aiohttp import web

from sidecar.standins.llm_faults import Fault, Kind
from sidecar.standins.llm_stream import NOT_JSON, Event, Reply, Stage, token_place, written
from sidecar.standins.raw import LINGER_ZERO

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

UNREAD = 1 << 20
"""Bytes that may wait for a slow reader; beyond it nothing more is written."""
LOOK_AGAIN = 0.01
"""Seconds until a slow reader is looked at again."""
BOM = b"\xef\xbb\xbf"


class Broken(Exception):  # noqa: N818  (how a reply ends, not an error)
    """The connection has been ended in the fault's own way."""


class Done(web.StreamResponse):
    """For aiohttp: everything has been written."""

    def __init__(self, *, broken: bool, stays: bool) -> None:
        super().__init__()
        self._broken = broken
        self._stays = stays

    @property
    def keep_alive(self) -> bool | None:
        return self._stays and not self._broken

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002  (aiohttp's)
        # aiohttp takes this as a caller that went away: quiet, and nothing more is written.
        if self._broken:
            raise ConnectionResetError
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """It has been."""


class Wire:
    """One reply on one connection. Every write may raise `Broken` or, when the caller left, `ConnectionResetError`."""

    def __init__(self, request: web.BaseRequest, fault: Fault, pace: float) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        self._transport = transport
        self._stays = request.keep_alive
        self._fault = fault
        self._pace = pace
        self._pressed = zlib.compressobj(wbits=31) if fault.kind is Kind.GZIP else None

    async def reply(self, reply: Reply) -> None:
        if reply.events is None:
            await self._whole(reply)
        else:
            await self._stream(reply, reply.events)

    async def send(self, data: bytes) -> None:
        """As it is. Waits for a reader that is more than a megabyte behind."""
        if self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(data)
        while self._transport.get_write_buffer_size() > UNREAD:  # noqa: ASYNC110  (aiohttp's own pause is private)
            await asyncio.sleep(LOOK_AGAIN)

    def close(self) -> Never:
        """What was written arrives, then FIN."""
        self._transport.close()
        raise Broken

    def reset(self) -> Never:
        """RST; what was written has left already, if it was small."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self._transport.abort()
        raise Broken

    async def half_close(self) -> Never:
        """FIN, and an ear for the caller until it goes."""
        self._transport.write_eof()
        await forever()

    async def _whole(self, reply: Reply) -> None:
        body = reply.data
        if self._fault.kind is Kind.MALFORMED:
            body = NOT_JSON
        if self._pressed is not None:
            body = self._pressed.compress(body) + self._pressed.flush()
        promised = len(body) + {Kind.SHORT: self._fault.size, Kind.LONG: -(len(body) // 2)}.get(self._fault.kind, 0)
        await self.send(self._head(reply, f"Content-Length: {promised}"))
        half = len(body) // 2
        match self._fault.kind:
            case Kind.FIRST_TOKEN:
                await asyncio.sleep(self._fault.delay)
            case Kind.STALL:
                await self.send(body[:half])
                await asyncio.sleep(self._fault.delay)
                body = body[half:]
            case Kind.CUT | Kind.CUT_INSIDE | Kind.CUT_RESET | Kind.HALF_CLOSED:
                await self.send(body[:half])
                await self._break()
        await self._pieces(body)
        if self._fault.kind in {Kind.SHORT, Kind.LONG}:
            self.close()

    async def _stream(self, reply: Reply, events: list[Event]) -> None:
        await self.send(self._head(reply, "Transfer-Encoding: chunked"))
        if self._fault.kind is Kind.BOM:
            await self._chunk(BOM)
        place = token_place(events, 0 if self._fault.kind is Kind.FIRST_TOKEN else self._fault.tokens)
        for at, event in enumerate(events):
            if at == place:
                await self._at_place(event)
            if self._pace and event.stage is Stage.TOKEN:
                await asyncio.sleep(self._pace)
            await self._chunk(written(event, self._fault))
        if place == len(events):
            await self._at_place(None)
        if self._fault.kind is Kind.NO_DONE_OPEN:
            await forever()
        if self._fault.kind is Kind.NO_FINAL_CHUNK:
            self.close()
        if self._pressed is not None:
            await self._framed(self._pressed.flush())
        await self.send(b"0\r\n\r\n")

    async def _at_place(self, event: Event | None) -> None:
        """Before the event that follows the fault's tokens; None: all have been sent."""
        match self._fault.kind:
            case Kind.FIRST_TOKEN | Kind.STALL:
                await asyncio.sleep(self._fault.delay)
            case Kind.CUT_INSIDE if event is not None:
                data = written(event, self._fault)
                # The chunk is promised whole, too: no reader may take the part for an event.
                await self.send(b"%x\r\n%b" % (len(data), data[: len(data) // 2]))
                self.close()
            case Kind.CUT | Kind.CUT_INSIDE | Kind.CUT_RESET | Kind.HALF_CLOSED:
                await self._break()

    async def _break(self) -> Never:
        if self._fault.kind is Kind.HALF_CLOSED:
            await self.half_close()
        if self._fault.kind is Kind.CUT_RESET:
            self.reset()
        self.close()

    async def _chunk(self, data: bytes) -> None:
        if self._pressed is not None:
            data = self._pressed.compress(data) + self._pressed.flush(zlib.Z_SYNC_FLUSH)
        if self._fault.kind is Kind.DRIBBLE:
            for at in range(0, len(data), self._fault.size):
                await self._framed(data[at : at + self._fault.size])
                await asyncio.sleep(0)
        else:
            await self._framed(data)

    async def _framed(self, data: bytes) -> None:
        if data:
            await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def _pieces(self, data: bytes) -> None:
        size = self._fault.size if self._fault.kind is Kind.DRIBBLE else len(data)
        for at in range(0, len(data), size or 1):
            await self.send(data[at : at + size])
            await asyncio.sleep(0)

    def _head(self, reply: Reply, framing: str) -> bytes:
        phrase = http.HTTPStatus(reply.status).phrase if reply.status in set(http.HTTPStatus) else ""
        kind = "application/json" if reply.events is None else "text/event-stream; charset=utf-8"
        fields = {"Date": formatdate(usegmt=True), "Content-Type": kind, **reply.headers}
        if not self._stays:
            fields["Connection"] = "close"
        if reply.events is not None:
            fields["Cache-Control"] = "no-cache"
        if self._pressed is not None:
            fields["Content-Encoding"] = "gzip"
        lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in fields.items()), framing]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def forever() -> Never:
    """Until the caller goes: aiohttp cancels its handler then."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError
