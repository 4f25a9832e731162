"""A slow side slows the other one: what waits in the sidecar is bounded, whatever passes through it (rule 9)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.http1.server import ServerConnection
from tests.kit.peer import listening
from tests.kit.running import Running, one, request, running
from tests.kit.scripted import reply

if TYPE_CHECKING:
    from collections.abc import Callable

BIG = 48 << 20
"""More than all sockets on the way hold together."""

MOST = 1 << 20
"""What may wait in the sidecar: a mark of 64 KiB, and the one read (256 KiB at most) that crossed it, both ways."""

pytestmark = pytest.mark.both_loops


async def full(size: Callable[[], int]) -> int:
    """Let everything flow until it stands still; the largest `size` on the way."""
    most = 0
    for _ in range(2000):
        await asyncio.sleep(0)
        most = max(most, size())
    return most


def unsent_to_the_caller(sidecar: Running) -> int:
    (connection,) = sidecar.connections._open
    assert isinstance(connection, ServerConnection)
    return connection.transport.get_write_buffer_size()


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % BIG, b"Connection: close"])
async def test_a_caller_that_does_not_read_stops_the_upstream(framing: bytes) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        await caller.head()
        peer.say(bytes(BIG))
        assert await full(lambda: unsent_to_the_caller(sidecar)) < MOST
        assert peer.writer.transport.get_write_buffer_size() > 0
        caller.writer.transport.abort()  # in the middle of it
        assert await peer.ended()


async def test_an_upstream_that_does_not_read_stops_the_caller() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % BIG)
        peer = await upstream.accept()
        await peer.request()
        caller.send(bytes(BIG))
        await full(lambda: 0)
        assert caller.writer.transport.get_write_buffer_size() > 0
        await peer.receive(BIG)  # all of it, once it reads
        peer.say(reply())
        assert (await caller.answer()).status == 200


async def test_a_tunnel_is_no_sink_either() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", "Connection: Upgrade", "Upgrade: raw"))
        peer = await upstream.accept()
        await peer.request()
        peer.say(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
        await caller.head()
        peer.say(bytes(BIG))
        assert await full(lambda: unsent_to_the_caller(sidecar)) < MOST
        assert peer.writer.transport.get_write_buffer_size() > 0
        await caller.reader.readexactly(BIG)
        peer.end()
        assert await caller.ended() == b""
