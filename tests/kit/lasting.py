"""Calls that last: one stream of each kind, opened once, that goes on for as long as a test wants."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.kit.rpc import channel_to
from tests.kit.rpc_caller import opened, told
from tests.kit.running import request, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.caller import Caller
    from tests.kit.reload_stage import Stage


@dataclass
class Lasting:
    """`generations` is what the heads of the streams say, by kind."""

    stage: Stage
    events: Caller
    websocket: aiohttp.ClientWebSocketResponse
    rpc: Any
    generations: dict[str, str] = field(default_factory=dict)
    _beats: int = 0

    async def beat(self) -> None:
        """Something new passes through each of them."""
        self._beats += 1
        said = b"beat %d" % self._beats
        self.stage.web.beat(said)
        await self.websocket.send_bytes(said)
        await self.rpc.write(said)
        await self.events.exactly(b"%x\r\n%b\r\n" % (len(said), said))
        assert await self.websocket.receive_bytes() == said
        assert await self.rpc.read() == said

    async def end(self) -> None:
        """Each of them ends as it should, and its caller leaves."""
        self.stage.web.beat(b"")
        await self.events.exactly(b"0\r\n\r\n")
        await self.rpc.done_writing()
        assert (await told(self.rpc)).short == ("OK", [])
        await self.websocket.close()
        assert self.websocket.close_code == aiohttp.WSCloseCode.OK


@asynccontextmanager
async def lasting(stage: Stage) -> AsyncIterator[Lasting]:
    """The three of them, begun; the test ends them, or they are cut."""
    events = await stage.sidecar.caller()
    events.send(request("/api/lasting", "Accept: text/event-stream"))
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(stage.sidecar.url + "/api/socket") as websocket,
        channel_to(stage.sidecar) as channel,
    ):
        streams = Lasting(stage, events, websocket, opened(channel))
        generations = streams.generations
        generations["sse"] = (await events.head()).fields["x-sidecar-config"]
        generations["websocket"] = websocket._response.headers["X-Sidecar-Config"]
        generations["bidi"] = str(dict(await streams.rpc.initial_metadata())["x-sidecar-config"])
        await until(lambda: stage.web.lasting == 1)
        yield streams
    await events.close()
