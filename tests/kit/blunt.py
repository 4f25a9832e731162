"""A server that says what it is told to say, whatever it was asked: what else may stand where a sidecar is expected."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from tests.kit.closing import close

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable


@dataclass
class Blunt:
    """`url` is where it listens; `heard` the head of each request, without its blank line."""

    url: str = ""
    heard: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def blunt(
    said: bytes | Iterable[bytes],
    *,
    then: bytes = b"",
    hangs: bool = False,
    tls: ssl.SSLContext | None = None,
    unix: str = "",
    port: int = 0,
) -> AsyncIterator[Blunt]:
    """Says it once a request's head has come, and closes; `hangs`: keeps the connection open until the test ends.

    `then`: what it says to the second request and those after it.
    """
    there, ended, serving = Blunt(), asyncio.Event(), set[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(1)
            if first != b"\x16":  # which begins TLS (RFC 8446, section 5.1), and no request
                there.heard.append((first + await reader.readuntil(b"\r\n\r\n"))[:-4])
            now = then if then and len(there.heard) > 1 else said
            for piece in [now] if isinstance(now, bytes) else now:
                writer.write(piece)
                await writer.drain()
            if hangs:
                await ended.wait()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    if unix:
        server = await asyncio.start_unix_server(serve, unix)
        there.url = f"unix:{unix}"
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=tls)
        host, port = server.sockets[0].getsockname()
        there.url = f"http{'s' if tls else ''}://{host}:{port}"
    try:
        yield there
    finally:
        await close(server)
        ended.set()
        await asyncio.gather(*filter(None, serving))


def answer(body: bytes, status: str = "200 OK", content_type: str = "text/html", *, length: int | None = None) -> bytes:
    """A whole HTTP answer; `length` is what it claims to be long."""
    claimed = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {claimed}\r\n\r\n".encode() + body


def json_answer(document: object, status: str = "200 OK") -> bytes:
    return answer(orjson.dumps(document), status, "application/json")
