"""What a caller of c-gateway puts on the wire, and a caller that puts it there in one write."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sidecar.standins.c_gateway import CGateway

DTO: dict[str, Any] = {
    "version": "1",
    "tenant_id": "demo-tenant",
    "request_id": "req-1",
    "task": {"type": "text.generate", "payload": {"text": "Hello, world!"}},
    "message_id": "msg-1",
    "message_type": "text.generate",
    "payload": {"text": "Hello, world!"},
    "metadata": {"model": "gpt-4"},
    "policy_id": "demo-policy",
    "context": {"session_id": "s1"},
}
"""A decide with all that the gateway looks at."""
TENANT = "X-Tenant-ID: demo-tenant"
TRACE = "X-Trace-ID: 4bf92f3577b34da6a3ce929d0e0e4736"


def body(**changes: object) -> str:
    """The decide with other values; None takes a key away."""
    return json.dumps({key: value for key, value in (DTO | changes).items() if value is not None})


def request(line: str, *headers: str, body: str = "") -> bytes:
    """A request as it leaves a well-behaved caller: head and body in one."""
    framing = [f"Content-Length: {len(body.encode())}"] if body else []
    lines = [f"{line} HTTP/1.1", "Host: gateway", *headers, *framing]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def decide(*headers: str, body: str = body()) -> bytes:
    """A decide of the demo tenant's, unless other headers are given."""
    return request("POST /api/v1/routes/decide", *(headers or (TENANT,)), body=body)


@asynccontextmanager
async def connected(gateway: CGateway) -> AsyncIterator[socket.socket]:
    """A connection that has sent nothing yet."""
    connection = socket.socket()
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (gateway.host, gateway.port))
        yield connection
    finally:
        connection.close()


async def rest(connection: socket.socket) -> bytes:
    """All that still comes; b"RST" at the end if the connection was reset."""
    loop = asyncio.get_running_loop()
    seen = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while piece := await loop.sock_recv(connection, 1 << 16):
                seen += piece
    except ConnectionResetError:
        seen += b"RST"
    return seen


async def ask(gateway: CGateway, data: bytes) -> bytes:
    """What one connection, with one write, is answered until its end."""
    async with connected(gateway) as connection:
        await asyncio.get_running_loop().sock_sendall(connection, data)
        return await rest(connection)


async def until(true: Callable[[], bool]) -> None:
    """Go on when it is."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110  (what it looks at is on the wire or in a counter)
            await asyncio.sleep(0)


def reset(connection: socket.socket) -> None:
    """Close it with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
