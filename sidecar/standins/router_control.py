"""The port at which curl asks a stand-in Router how it is, and tells it how to be.

`/_fault` as at every stand-in; `GET /_calls` has what came, `POST /_down` takes the
providers that cannot be had from now on: `["openai"]`, or `[]` for none.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.standins.grpc_faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.standins.router import StandIn


class Control:
    """Answers for one stand-in, whose switch it holds."""

    def __init__(self, router: StandIn, host: str, port: int) -> None:
        self.router = router
        self.host = host
        self.port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it answers; known once it has started."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen."""
        app = web.Application(middlewares=[explained])
        app.router.add_get("/_fault", self._fault)
        app.router.add_post("/_fault", self._switch)
        app.router.add_get("/_calls", self._calls)
        app.router.add_post("/_down", self._down)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _fault(self, _: web.Request) -> web.Response:
        return web.json_response(self.state())

    async def _switch(self, request: web.Request) -> web.Response:
        figures = await request.json()
        if not isinstance(figures, dict):
            raise ValueError('a fault is an object such as {"kind": "slow", "delay": 3}')  # noqa: TRY004  (all are a 400)
        await self.router.switch(Fault.of(figures))
        return web.json_response(self.state())

    async def _calls(self, _: web.Request) -> web.Response:
        last = [
            {
                "method": seen.method,
                "metadata": [[name, value if isinstance(value, str) else value.hex()] for name, value in seen.metadata],
                "faulty": seen.faulty,
            }
            for seen in self.router.last
        ]
        return web.json_response({"calls": self.router.calls, "last": last})

    async def _down(self, request: web.Request) -> web.Response:
        names = await request.json()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError('those who are down are a list such as ["openai"]')
        self.router.service.set_down(names)
        return web.json_response(self.state())

    def state(self) -> dict[str, object]:
        """What `/_fault` answers: the counts, who is down, and the fault."""
        router = self.router
        return {
            "name": router.name,
            "target": router.target,
            "requests": router.calls.total(),
            "faulty": router.faulty,
            "down": sorted(router.service.down),
            "fault": dataclasses.asdict(router.fault),
        }


@web.middleware
async def explained(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """What cannot be is a 400 with the reason."""
    try:
        return await handler(request)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
