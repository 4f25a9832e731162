"""A server connection on a real socket, and a caller that writes raw bytes to it."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from sidecar.http1.connections import Connections
from sidecar.http1.server import ServerConnection, ServerLimits
from tests.kit.closing import close

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sidecar.errors import Refused
    from sidecar.http1.request import Request

PATIENCE = 25.0
"""Seconds after which a test that waits for something fails; none is expected to.

Shared machines stand still for many seconds, so it is long; but what the sidecar mends by itself after half a minute,
as a policy file that was refused, is a failure.
"""


def refuse(refused: Refused, request: Request | None) -> bytes:
    """A refusal that names its label and the target it is for."""
    target = request.target if request is not None else b"-"
    body = b"%b %b" % (refused.label.encode(), target)
    head = b"HTTP/1.1 %d Refused\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (refused.http_status, len(body)) + body


async def take(request: Request) -> bytes:
    """The next piece, as the engine's `Body` pulls it."""
    piece = request.read()
    return piece if isinstance(piece, bytes) else await piece


async def read_all(request: Request) -> bytes:
    body = b""
    while piece := await take(request):
        body += piece
    return body


@dataclass
class Answer:
    """One reply as it stood on the wire."""

    status: int
    fields: dict[str, str]
    body: bytes
    trailers: dict[str, str] = field(default_factory=dict)


class Caller:
    """Writes bytes, reads replies. Every read has a limit, so that a wrong server fails a test and does not hang it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, tls: ssl.SSLContext | None = None) -> Self:
        name = "localhost" if tls is not None else None
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def exactly(self, data: bytes) -> None:
        """The next bytes are these."""
        async with asyncio.timeout(PATIENCE):
            assert await self.reader.readexactly(len(data)) == data

    async def head(self) -> Answer:
        """The next status line and fields."""
        async with asyncio.timeout(PATIENCE):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        return Answer(int(lines[0].split(" ")[1]), _fields(lines[1:-2]), b"")

    async def answer(self, *, to: str = "GET") -> Answer:
        """The next reply, read as its framing says (RFC 9112, section 6.3)."""
        answer = await self.head()
        async with asyncio.timeout(PATIENCE):
            if to == "HEAD" or answer.status in (204, 304) or answer.status < 200:
                pass
            elif answer.fields.get("transfer-encoding") == "chunked":
                await self._chunks(answer)
            elif "content-length" in answer.fields:
                answer.body = await self.reader.readexactly(int(answer.fields["content-length"]))
            else:
                answer.body = await self.reader.read()
        return answer

    async def _chunks(self, answer: Answer) -> None:
        while size := int(await self.reader.readline(), 16):
            answer.body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        lines = []
        while (line := await self.reader.readline()) != b"\r\n":
            lines.append(line.decode("latin-1").rstrip())
        answer.trailers = _fields(lines)

    async def ended(self) -> bytes:
        """What comes until the end of the connection, which must come."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):  # the other side was faster
            await self.writer.wait_closed()


def _fields(lines: list[str]) -> dict[str, str]:
    fields = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name.lower() not in fields, f"{name} came twice"
        fields[name.lower()] = value
    return fields


@dataclass
class Server:
    """A listener on a port of its own, and what went wrong in it."""

    port: int = 0
    registry: Connections = field(default_factory=Connections)
    crashes: list[BaseException] = field(default_factory=list)
    protocols: list[ServerConnection] = field(default_factory=list)
    _callers: list[Caller] = field(default_factory=list)
    client_tls: ssl.SSLContext | None = None

    async def caller(self) -> Caller:
        caller = await Caller.connect(self.port, tls=self.client_tls)
        self._callers.append(caller)
        return caller

    async def until(self, what: Callable[[], bool]) -> None:
        """Let the loop run until it is so."""
        async with asyncio.timeout(PATIENCE):
            while not what():  # noqa: ASYNC110 - what is waited for is no event
                await asyncio.sleep(0)

    async def aclose(self) -> None:
        for caller in self._callers:
            await caller.close()
        self.registry.abort_all()
        await self.until(lambda: self.registry.count == 0)


@asynccontextmanager
async def serving(
    serve: Callable[[Request], Awaitable[None]],
    limits: ServerLimits | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    crash: bool = False,
) -> AsyncIterator[Server]:
    """A server for the length of a test. It must not crash, unless the test wants it to."""
    server = Server(client_tls=client_tls)
    limits = limits or ServerLimits()

    def connection() -> ServerConnection:
        made = ServerConnection(serve, limits, refuse, server.registry, tls is not None, crashed=server.crashes.append)
        server.protocols.append(made)
        return made

    listener = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        await close(listener)
        await server.aclose()
    if not crash:
        assert server.crashes == []
