r"""The other end of a client's connection, played by the test: real sockets, both sides in one transcript.

async with listening() as upstream:
    connection = await upstream.connect()
    peer = await upstream.accept()
    connection.send(b"GET / HTTP/1.1\r\n\r\n")
    assert await peer.request() == b"GET / HTTP/1.1\r\n\r\n"
    peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

from sidecar.http1.connect import Connector, Origin
from sidecar.standins.kept_port import KeptPort
from tests.kit.caller import PATIENCE
from tests.kit.closing import close

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from sidecar.http1.client import ClientConnection


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """A request's head, with its blank line."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def receive(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def ended(self) -> bool:
        """Wait until the client has closed its side; False if there was something else first."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    def end(self) -> None:
        """Close well, when all that was said is out."""
        self.writer.close()

    def reset(self) -> None:
        """Close so that the client gets a reset."""
        handle = socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno()))
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handle.close()
        self.writer.transport.abort()


class Listening:
    """A server that accepts, and does nothing by itself."""

    def __init__(self, server: asyncio.Server, accepted: asyncio.Queue[Peer], peers: list[Peer]) -> None:
        self._server = server
        self._accepted = accepted
        self.peers = peers
        self.kept = KeptPort()
        name = server.sockets[0].getsockname()
        self.port: int = 0 if isinstance(name, str) else name[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def accept(self) -> Peer:
        return await self._accepted.get()

    def stop(self) -> None:
        """Accept no more: who connects now is refused."""
        self._server.close()
        self.kept.keep("127.0.0.1", self.port)

    def pending(self) -> int:
        """How many connections have come that nobody accepted yet."""
        return self._accepted.qsize()

    async def connect(self, *, lenient_length: bool = False) -> ClientConnection:
        return await Connector(Origin.parse(self.url), lenient_length=lenient_length).connect(PATIENCE)

    async def pair(self, *, lenient_length: bool = False) -> tuple[ClientConnection, Peer]:
        """Both ends of one new connection."""
        return await self.connect(lenient_length=lenient_length), await self.accept()


@contextlib.asynccontextmanager
async def listening(
    *, host: str = "127.0.0.1", path: str = "", context: ssl.SSLContext | None = None
) -> AsyncIterator[Listening]:
    """A server on a free port of `host`, or on a unix socket; all its connections are closed at the end."""
    accepted: asyncio.Queue[Peer] = asyncio.Queue()
    peers: list[Peer] = []

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        peers.append(peer)
        accepted.put_nowait(peer)

    if path:
        server = await asyncio.start_unix_server(take, path)
    else:
        server = await asyncio.start_server(take, host, 0, ssl=context)
    told = Listening(server, accepted, peers)
    try:
        yield told
    finally:
        await close(server)
        told.kept.give_up()
        for peer in peers:
            peer.writer.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)
