"""Services that tell which policy sent each call to them, by the `X-Policy` that it had sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import orjson
from aiohttp import web

from sidecar.standins.http import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.rpc import Talk

EVENTS = 50
"""Of one stream."""

WORD = "word "
"""What a model says in each of them."""

PACE = 0.002
"""Seconds from event to event of a stream: a reload falls into the middle of each."""


class WebService(StandIn):
    """Answers, echoes of sockets, and streams: of `EVENTS` events, or at `/api/lasting` of one for each `beat`."""

    def __init__(self) -> None:
        super().__init__("web", answer=self._tell)
        self.uploads = 0
        """Bodies that are being read."""
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
        llm = request.path == "/v1/chat/completions"
        if llm or "text/event-stream" in request.headers.get("Accept", ""):
            stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", **told})
            await stream.prepare(request)
            if request.path == "/api/lasting":
                await self._last(stream)
            else:
                await _play(stream, _answer() if llm else _events())
            return stream
        self.uploads += request.path == "/api/upload"
        body = await request.read()
        self.uploads -= request.path == "/api/upload"
        return web.json_response({"path": request.path, "body_bytes": len(body)}, headers=told)

    async def _last(self, stream: web.StreamResponse) -> None:
        events: asyncio.Queue[bytes] = asyncio.Queue()
        self._lasting.append(events)
        while event := await events.get():
            await stream.write(event)
        self._lasting.remove(events)


async def _play(stream: web.StreamResponse, events: Iterator[bytes]) -> None:
    for event in events:
        await stream.write(event)
        await asyncio.sleep(PACE)


def _events() -> Iterator[bytes]:
    for number in range(1, EVENTS + 1):
        yield b"id: %d\ndata: {}\n\n" % number
    yield b"event: done\ndata: {}\n\n"


def _answer() -> Iterator[bytes]:
    """As OpenAI streams one."""
    chunk = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    for said, end in [*([({"content": WORD}, None)] * EVENTS), ({}, "stop")]:
        choice = {"index": 0, "delta": said, "finish_reason": end}
        yield b"data: %b\n\n" % orjson.dumps({**chunk, "choices": [choice]})
    yield b"data: [DONE]\n\n"


async def echo_and_tell(talk: Talk) -> None:
    """Each message back, behind metadata that tell which policy sent the call here."""
    await talk.context.send_initial_metadata((("x-policy", str(talk.seen.field("x-policy"))),))
    while (message := await talk.take()) is not None:
        await talk.say(message)
