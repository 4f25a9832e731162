"""Calls that last: one stream of each kind and an upload, opened once, that go on for as long as a test wants."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from tests.kit.rpc import channel_to
from tests.kit.rpc_caller import opened, told
from tests.kit.running import request, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.caller import Caller
    from tests.kit.reload_stage import Stage

LAST_CHUNK = b"0\r\n\r\n"


@dataclass
class Lasting:
    """`generations` is what the heads of the streams say, by kind; that of the upload comes at its end."""

    stage: Stage
    events: Caller
    upload: Caller
    websocket: aiohttp.ClientWebSocketResponse
    rpc: Any
    generations: dict[str, str] = field(default_factory=dict)
    _beats: int = 0
    _uploaded: int = 0

    async def beat(self) -> None:
        """Something new passes through each of them."""
        self._beats += 1
        said = b"beat %d" % self._beats
        self.stage.web.beat(said)
        await self.websocket.send_bytes(said)
        await self.rpc.write(said)
        self.upload.send(_chunk(said))
        self._uploaded += len(said)
        await self.events.exactly(_chunk(said))
        assert await self.websocket.receive_bytes() == said
        assert await self.rpc.read() == said

    async def end(self) -> None:
        """Each of them ends as it should, and its caller leaves."""
        self.stage.web.beat(b"")
        await self.events.exactly(LAST_CHUNK)
        self.upload.send(LAST_CHUNK)
        answer = await self.upload.answer()
        assert orjson.loads(answer.body)["body_bytes"] == self._uploaded
        self.generations["upload"] = answer.fields["x-sidecar-config"]
        await self.rpc.done_writing()
        assert (await told(self.rpc)).short == ("OK", [])
        await self.websocket.close()
        assert self.websocket.close_code == aiohttp.WSCloseCode.OK


@asynccontextmanager
async def lasting(stage: Stage) -> AsyncIterator[Lasting]:
    """All of them, begun; the test ends them, or they are cut."""
    events, upload = await stage.sidecar.caller(), await stage.sidecar.caller()
    upload.send(request("/api/upload", "Transfer-Encoding: chunked", method="POST"))
    events.send(request("/api/lasting", "Accept: text/event-stream"))
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(stage.sidecar.url + "/api/socket") as websocket,
        channel_to(stage.sidecar) as channel,
    ):
        streams = Lasting(stage, events, upload, websocket, opened(channel))
        generations = streams.generations
        generations["sse"] = (await events.head()).fields["x-sidecar-config"]
        generations["websocket"] = websocket._response.headers["X-Sidecar-Config"]
        generations["bidi"] = str(dict(await streams.rpc.initial_metadata())["x-sidecar-config"])
        await until(lambda: stage.web.lasting == 1 and stage.web.uploads == 1)
        yield streams
    await events.close()
    await upload.close()


def _chunk(said: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(said), said)
