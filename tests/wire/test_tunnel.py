"""`Upgrade`: after 101 the sidecar is a pipe, both ways, each with an end of its own."""

from __future__ import annotations

import aiohttp
import pytest

from tests.kit.peer import listening
from tests.kit.running import one, request, running
from tests.kit.scripted import reply
from tests.kit.standin import StandIn

UPGRADE = ("Connection: Upgrade", "Upgrade: raw")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\nX-Extra: 1\r\n\r\n"


@pytest.mark.both_loops
async def test_bytes_pass_both_ways_and_each_side_may_end_first() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", *UPGRADE, "X-Request-ID: i-1") + b"early")
        peer = await upstream.accept()
        head = await peer.request()
        assert b"\r\nConnection: Upgrade\r\nUpgrade: raw\r\n" in head
        peer.say(SWITCH + b"welcome")
        answer = await caller.head()
        assert (answer.status, answer.fields["upgrade"], answer.fields["x-extra"]) == (101, "raw", "1")
        await caller.exactly(b"welcome")
        assert await peer.receive(5) == b"early"
        caller.send(b"ping")
        assert await peer.receive(4) == b"ping"
        caller.writer.write_eof()
        assert await peer.reader.read() == b""  # the caller has no more to say …
        peer.say(b"last words")
        peer.end()
        assert await caller.ended() == b"last words"  # … and still hears
        line = await sidecar.log.call("i-1")
        assert (line["status_code"], line["bytes_in"], line["bytes_out"]) == (101, 9, 17)


async def test_a_caller_that_vanishes_takes_the_upstream_connection_with_it() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", *UPGRADE))
        peer = await upstream.accept()
        await peer.request()
        peer.say(SWITCH)
        await caller.head()
        caller.writer.transport.abort()
        assert await peer.ended()
        peer.end()
        await sidecar.until(lambda: sidecar.connections.count == 0)


async def test_an_upstream_that_refuses_the_upgrade_answers_as_always() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", *UPGRADE))
        peer = await upstream.accept()
        await peer.request()
        peer.say(reply("426 No", body=b"no"))
        answer = await caller.answer()
        assert (answer.status, answer.body) == (426, b"no")
        caller.send(request("/next"))
        await peer.request()
        peer.say(reply())
        assert (await caller.answer()).status == 200


@pytest.mark.parametrize("origin", [None, "http://localhost:3000"])
async def test_a_websocket_of_a_real_client(origin: str | None) -> None:
    async with (
        StandIn("echo") as upstream,
        running(one(upstream.url)) as sidecar,
        aiohttp.ClientSession() as session,
        session.ws_connect(sidecar.url + "/socket", origin=origin) as websocket,
    ):
        await websocket.send_str("hello")
        assert await websocket.receive_str() == "hello"
        await websocket.send_bytes(bytes(200_000))
        assert await websocket.receive_bytes() == bytes(200_000)
