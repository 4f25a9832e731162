"""A stand-in HTTP service with faults that can be switched while it runs.

Healthy, it tells what it was sent: as JSON, as server-sent events to who accepts
those, as an echo to a WebSocket. `POST /_fault` switches its fault, `GET /_fault`
tells the present one and the counts:

    python -m sidecar.standins.http --port 9001 --fault fail:status=503,share=0.5
    curl -d '{"kind": "slow", "delay": 3}' localhost:9001/_fault
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import signal
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from sidecar.standins import raw
from sidecar.standins.faults import HEALTHY, Fault, Kind
from sidecar.standins.http_port import HttpPort
from sidecar.standins.switching import Switching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CONTROL = "/_fault"
PIECE = 64 << 10

RAW: dict[Kind, Callable[[], raw.Raw]] = {
    Kind.RESET: raw.reset,
    Kind.RESET_BODY: raw.reset_body,
    Kind.SHORT: raw.short,
    Kind.LONG: raw.long,
    Kind.GARBAGE: raw.garbage,
    Kind.TRAILERS: raw.trailers,
    Kind.HINTS: raw.early_hints,
}


class StandIn(HttpPort):
    """One service on one port. `answer` makes its healthy replies.

    `requests` counts the calls it has seen and `faulty` those that met the fault;
    a call refused by a closed port is in neither.
    """

    def __init__(
        self,
        name: str,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        fault: Fault = HEALTHY,
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None,
    ) -> None:
        super().__init__(host, port)
        self.name = name
        self.fault = fault
        self.requests = 0
        self.faulty = 0
        self._since_switch = 0
        self._answer = answer or self.echo
        self._switching = Switching(self._become, HEALTHY)

    async def start(self) -> str:
        """Begin with the fault given. The URL; with a dead one the port is reserved, and then closed again."""
        await self._open(self._serve)
        await self.switch(self.fault)
        return self.url

    async def stop(self) -> None:
        """Close the port and every connection, busy ones too."""
        self._switching.forget()
        await self._shut()

    async def switch(self, fault: Fault) -> None:
        """Behave like this from the next request on; `lasts` seconds, if the fault has an end."""
        await self._switching.to(fault)

    async def _become(self, fault: Fault) -> None:
        if fault.kind is Kind.DEAD:
            self._close()
        else:
            await self._open(self._serve)
        self.fault = fault
        self._since_switch = 0

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == CONTROL:
            return await self._control(request)
        self.requests += 1
        meets = self.fault.kind is not Kind.NONE and self.fault.meets(self._since_switch)
        self._since_switch += 1
        if not meets:
            return await self._answer(request)
        self.faulty += 1
        return await self._misbehave(self.fault, request)

    async def _misbehave(self, fault: Fault, request: web.BaseRequest) -> web.StreamResponse:
        if fault.kind in RAW:
            return RAW[fault.kind]()
        match fault.kind:
            case Kind.FAIL:
                return self._refusal(fault.status)
            case Kind.THROTTLE:
                return self._refusal(429, fault.retry_after)
            case Kind.UNAVAILABLE:
                return self._refusal(503, fault.retry_after)
            case Kind.HUGE:
                return await huge(request, fault.size)
            case Kind.EVENTS:
                return await self.stream(request, fault.events, fault.every)
            case Kind.CUT:
                await self.stream(request, fault.events, fault.every, ends=False)
                return raw.cut()
            case _:
                await asyncio.sleep(fault.delay)
                return await self._answer(request)

    def _refusal(self, status: int, retry_after: int | None = None) -> web.Response:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return web.json_response({"error": f"{self.name} is unwell"}, status=status, headers=headers)

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            return web.json_response(self.state(self.fault))
        try:
            fault = asked_fault(await request.json())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        response = web.json_response(self.state(fault))
        # The answer leaves first: a dead one closes this connection too.
        await response.prepare(request)
        await response.write_eof()
        await self.switch(fault)
        return response

    def state(self, fault: Fault) -> dict[str, object]:
        """What `/_fault` answers: the counts, and `fault`."""
        figures = dataclasses.asdict(fault)
        return {"name": self.name, "requests": self.requests, "faulty": self.faulty, "fault": figures}

    async def echo(self, request: web.BaseRequest) -> web.StreamResponse:
        """What was asked, told back in the shape that the caller accepts."""
        if web.WebSocketResponse().can_prepare(request).ok:
            return await echo_socket(request)
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self.stream(request, HEALTHY.events, HEALTHY.every)
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.json_response(
            {
                "service": self.name,
                "method": request.method,
                "path": request.path_qs,
                "headers": [[name, value] for name, value in request.headers.items()],
                "body_bytes": size,
            }
        )

    async def stream(
        self, request: web.BaseRequest, events: int, every: float, *, ends: bool = True
    ) -> web.StreamResponse:
        """Server-sent events, and a last one that says it is the last."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        for number in range(1, events + 1):
            data = json.dumps({"service": self.name, "event": number, "of": events})
            await response.write(f"id: {number}\ndata: {data}\n\n".encode())
            await asyncio.sleep(every)
        if ends:
            await response.write(b"event: done\ndata: {}\n\n")
        return response


def asked_fault(figures: object) -> Fault:
    """The fault that a `POST /_fault` asks for. Raises `ValueError`."""
    if not isinstance(figures, dict):
        raise ValueError('a fault is an object such as {"kind": "slow", "delay": 3}')  # noqa: TRY004  (all are a 400)
    fault = Fault.of(figures)
    if fault.kind is Kind.DEAD and not fault.lasts:
        raise ValueError("lasts: 0.0 will not do for dead: nobody could take it back over a closed port")
    return fault


async def huge(request: web.BaseRequest, size: int) -> web.StreamResponse:
    """`size` bytes, never more than one piece of them in memory."""
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = size
    await response.prepare(request)
    piece = bytes(PIECE)
    for at in range(0, size, PIECE):
        await response.write(piece[: size - at])
    return response


async def echo_socket(request: web.BaseRequest) -> web.WebSocketResponse:
    """Each message comes back as it was sent."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


def fault_argument(text: str) -> Fault:
    """For argparse, which shows the words of this error only."""
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m sidecar.standins.http", description="A stand-in HTTP service.")
    parser.add_argument("--name", default="stand-in")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument(
        "--fault", type=fault_argument, default=HEALTHY, metavar="KIND[:key=value,…]", help=", ".join(Kind)
    )
    return parser.parse_args()


async def serve_until_stopped(*standins: StandIn) -> None:
    """Start each, say where it is, and go on until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    for standin in standins:
        url = await standin.start()
        print(f"{standin.name} {url} {standin.fault.kind}", flush=True)
    await stopped.wait()
    for standin in standins:
        await standin.stop()


def main() -> None:
    """`python -m sidecar.standins.http`."""
    asked = arguments()
    asyncio.run(serve_until_stopped(StandIn(asked.name, asked.host, asked.port, fault=asked.fault)))


if __name__ == "__main__":
    main()
