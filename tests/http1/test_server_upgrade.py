"""Upgrades: tunnels for what we can tunnel, plain HTTP/1.1 for the rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.kit.caller import read_all, serving

if TYPE_CHECKING:
    from sidecar.http1.request import Request

pytestmark = pytest.mark.both_loops

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def upgrade(protocol: bytes, *fields: bytes, method: bytes = b"GET") -> bytes:
    extra = b"".join(field + b"\r\n" for field in fields)
    return b"%b / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %b\r\n%b\r\n" % (method, protocol, extra)


class EchoTunnel(asyncio.Protocol):
    """What a tunnel's other end might be: says everything back."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def tunnel(request: Request) -> None:
    assert request.upgrade
    body = await read_all(request)
    request.start(101, b"Upgrade: %b\r\n" % request.upgrade, None)
    transport, early = request.detach()
    protocol = EchoTunnel(transport)
    transport.set_protocol(protocol)
    transport.write(body + early)
    await protocol.ended.wait()


@pytest.mark.parametrize("early", [b"", b"early ", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_switched_connection_is_a_tunnel(early: bytes) -> None:
    async with serving(tunnel) as server:
        caller = await server.caller()
        caller.send(upgrade(b"WebSocket") + early)
        answer = await caller.head()
        assert answer.status == 101
        assert answer.fields["connection"] == "upgrade"
        assert answer.fields["upgrade"] == "websocket"
        caller.send(b"hello")
        await caller.exactly(early + b"hello")
        assert server.registry.count == 1
        await caller.close()
        await server.until(lambda: server.registry.count == 0)


async def test_a_body_may_come_before_the_tunnel() -> None:
    """Docker's `exec` asks with a JSON body."""
    async with serving(tunnel) as server:
        caller = await server.caller()
        caller.send(upgrade(b"tcp", b"Content-Length: 4", method=b"POST") + b"bo")
        caller.send(b"dy")
        assert (await caller.head()).status == 101
        caller.send(b"hello")
        await caller.exactly(b"bodyhello")


async def test_a_refused_upgrade_goes_on_as_http() -> None:
    async def serve(request: Request) -> None:
        request.respond(200, b"", request.upgrade or b"none")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(upgrade(b"websocket") + GET)
        assert (await caller.answer()).body == b"websocket"
        assert (await caller.answer()).body == b"none"


H2C = b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (upgrade(b"h2c", H2C), b""),
        (upgrade(b"h2c", H2C, b"Content-Length: 5", method=b"POST") + b"hello", b"hello"),
        (
            upgrade(b"h2c", b"Transfer-Encoding: chunked", method=b"POST") + b"5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n",
            b"hello",
        ),
    ],
    ids=["no body", "length", "chunked"],
)
@pytest.mark.parametrize("step", [1, 10_000])
async def test_h2c_is_served_as_http_11(request_bytes: bytes, body: bytes, step: int) -> None:
    async def serve(request: Request) -> None:
        assert request.upgrade == b""
        assert b"x-sum" not in request.fields
        whole = await read_all(request)
        assert request.trailers in ([], [(b"X-Sum", b"5")])
        request.respond(200, b"", whole)

    async with serving(serve) as server:
        caller = await server.caller()
        data = request_bytes + GET
        for start in range(0, len(data), step):
            caller.send(data[start : start + step])
            await asyncio.sleep(0)
        assert (await caller.answer()).body == body
        assert (await caller.answer()).body == b""


async def test_an_upgrade_in_http_10_is_ignored() -> None:
    async def serve(request: Request) -> None:
        request.respond(200, b"", request.upgrade or b"none")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(upgrade(b"websocket").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await caller.answer()).body == b"none"


async def test_a_crash_in_a_tunnel_ends_it() -> None:
    async def serve(request: Request) -> None:
        request.start(101, b"Upgrade: tcp\r\n", None)
        transport, _ = request.detach()
        transport.set_protocol(asyncio.Protocol())
        raise ZeroDivisionError

    async with serving(serve, crash=True) as server:
        caller = await server.caller()
        caller.send(upgrade(b"tcp"))
        assert (await caller.head()).status == 101
        assert await caller.ended() == b""
        assert len(server.crashes) == 1
        assert server.registry.count == 0


async def test_detach_is_for_switched_connections() -> None:
    async def serve(request: Request) -> None:
        with pytest.raises(RuntimeError, match="101"):
            request.detach()
        request.respond(200, b"")

    async with serving(serve) as server:
        caller = await server.caller()
        caller.send(GET)
        assert (await caller.answer()).status == 200
