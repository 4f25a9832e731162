"""Services that tell which policy sent each call to them, by the `X-Policy` that it had sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from aiohttp import web

from sidecar.standins.http import StandIn

if TYPE_CHECKING:
    from tests.kit.rpc import Talk

EVENTS = 50
"""Of one stream."""

PACE = 0.002
"""Seconds from event to event of a stream: a reload falls into the middle of each."""


class WebService(StandIn):
    """Answers, echoes of sockets, and streams: of `EVENTS` events, or at `/api/lasting` of one for each `beat`."""

    def __init__(self) -> None:
        super().__init__("web", answer=self._tell)
        self._lasting: list[asyncio.Queue[bytes]] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def lasting(self) -> int:
        """How many streams wait for a beat."""
        return len(self._lasting)

    def beat(self, event: bytes) -> None:
        """The next event of the streams that last; empty for their end."""
        for stream in self._lasting:
            stream.put_nowait(event)

    async def _tell(self, request: web.BaseRequest) -> web.StreamResponse:
        told = {"X-Policy": request.headers.get("X-Policy", "none")}
        socket = web.WebSocketResponse()
        if socket.can_prepare(request).ok:
            socket.headers.update(told)
            await socket.prepare(request)
            async for message in socket:
                await socket.send_bytes(message.data)
            return socket
        if "text/event-stream" in request.headers.get("Accept", ""):
            stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", **told})
            await stream.prepare(request)
            await (self._last(stream) if request.path == "/api/lasting" else _play(stream))
            return stream
        body = await request.read()
        return web.json_response({"path": request.path, "body_bytes": len(body)}, headers=told)

    async def _last(self, stream: web.StreamResponse) -> None:
        events: asyncio.Queue[bytes] = asyncio.Queue()
        self._lasting.append(events)
        while event := await events.get():
            await stream.write(event)
        self._lasting.remove(events)


async def _play(stream: web.StreamResponse) -> None:
    for number in range(1, EVENTS + 1):
        await stream.write(b"id: %d\ndata: {}\n\n" % number)
        await asyncio.sleep(PACE)
    await stream.write(b"event: done\ndata: {}\n\n")


async def echo_and_tell(talk: Talk) -> None:
    """Each message back, behind metadata that tell which policy sent the call here."""
    await talk.context.send_initial_metadata((("x-policy", str(talk.seen.field("x-policy"))),))
    while (message := await talk.take()) is not None:
        await talk.say(message)
