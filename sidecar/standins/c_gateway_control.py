"""How a person runs the stand-in c-gateway: its command line, and a port beside it that switches its faults.

The gateway itself has no path for that, for its 404 is one of its answers.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from sidecar.standins.c_gateway_limits import Limits
from sidecar.standins.c_gateway_router import Mode

if TYPE_CHECKING:
    from sidecar.standins.c_gateway import CGateway

HINTS = """
A decide; head and body must leave in one write, as curl does it:

  curl -i {url}/api/v1/routes/decide -H 'X-Tenant-ID: demo' -d '{{"version":"1","tenant_id":"demo",\
"request_id":"r-1","task":{{"type":"text","payload":{{"text":"hello"}}}},"policy_id":"demo-policy"}}'
  curl -i {url}/health
  curl -N '{url}/api/v1/messages/stream?tenant_id=demo'

A caller that only connects stops it for everybody; one that leaves before its answer kills it:

  nc {host} {port}
  curl -d '{{"kind": "slow"}}' {control}/_fault    and then    curl -m 0.5 with the decide from above

Trouble:

  curl -d '{{"kind": "router-error", "code": "policy_not_found"}}' {control}/_fault
  curl -d '{{"kind": "backpressure", "lasts": 10}}' {control}/_fault
  curl -d '{{"kind": "slow", "delay": 1}}' {control}/_fault
  curl -X POST {control}/_revive
"""


class Control:
    """The port beside the gateway: `/_fault` tells and switches, `/_revive` starts a dead one again."""

    def __init__(self, gateway: CGateway, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self._gateway = gateway
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it answers; known once it has started."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> str:
        """Listen. The URL."""
        app = web.Application()
        app.router.add_get("/_fault", self._tell)
        app.router.add_post("/_fault", self._switch)
        app.router.add_post("/_revive", self._revive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self.url

    async def stop(self) -> None:
        """Close it, if it was open."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response(self._gateway.state())

    async def _switch(self, request: web.Request) -> web.Response:
        try:
            figures = await request.json()
            if not isinstance(figures, dict):
                raise ValueError('a fault is an object such as {"kind": "slow", "delay": 3}')  # noqa: TRY004, TRY301  (all are a 400)
            fault = GatewayFault.of(figures)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        await self._gateway.switch(fault)
        return web.json_response(self._gateway.state())

    async def _revive(self, _: web.Request) -> web.Response:
        await self._gateway.revive()
        return web.json_response(self._gateway.state())


def fault_argument(text: str) -> GatewayFault:
    """For argparse, which shows the words of this error only."""
    try:
        return GatewayFault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m sidecar.standins.c_gateway", description="A stand-in c-gateway.")
    parser.add_argument("--host", default="127.0.0.1", help="an IPv4 address")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (8080)")
    parser.add_argument("--control", type=int, metavar="PORT", help="switch faults over HTTP there; 0 takes a free one")
    parser.add_argument("--mode", type=Mode, choices=list(Mode), default=Mode.STUB, help="what answers a decide (stub)")
    parser.add_argument(
        "--fault", type=fault_argument, default=WELL, metavar="KIND[:key=value,…]", help=", ".join(GatewayKind)
    )
    usual = Limits()
    for name in ("decide", "messages", "registry", "window"):
        told = "seconds" if name == "window" else "calls per window"
        default = getattr(usual, name)
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{told} ({default})")
    parser.add_argument("--auth-required", action="store_true", help="401 without an Authorization header")
    parser.add_argument("--immortal", action="store_true", help="survive callers that close early")
    return parser.parse_args()


async def serve_until_stopped(gateway: CGateway, control_port: int | None) -> int:
    """Go on until SIGINT or SIGTERM; without a control port, which could revive it, also until SIGPIPE. Exit code."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    control = Control(gateway, port=control_port or 0)
    ends = [asyncio.create_task(stopped.wait())]
    async with gateway:
        print(f"c-gateway {gateway.url} {gateway.mode} {gateway.fault.kind}", flush=True)
        if control_port is None:
            ends.append(asyncio.create_task(gateway.death.wait()))
        else:
            print(f"control {await control.start()}", flush=True)
        where = control.url if control_port is not None else "http://127.0.0.1:CONTROL"
        print(HINTS.format(url=gateway.url, host=gateway.host, port=gateway.port, control=where), flush=True)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await control.stop()
    return 128 + signal.SIGPIPE if gateway.died and control_port is None else 0
