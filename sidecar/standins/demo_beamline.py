"""The demo's last chapter: decides over HTTP and over gRPC, and each service answering for the other.

c-gateway takes decides over HTTP, the Router over gRPC. Each is killed once; its
callers, who have no resilience of their own, are answered by the other in the shape
in which they asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import grpc.aio

from sidecar.pb.beamline.flow.v1.flow_pb2 import Message, RouteDecision, RouteRequest
from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_control import Control
from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from sidecar.standins.c_gateway_limits import Limits
from sidecar.standins.c_gateway_router import Mode
from sidecar.standins.grpc_faults import HEALTHY, Fault, Kind
from sidecar.standins.router import StandIn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import aiohttp

PATH = "/api/v1/routes/decide"
DOCUMENT = {"version": "1", "message": {"type": "text.generate", "payload": "Hello"}, "policy_id": "demo-policy"}
REQUEST = RouteRequest(
    message=Message(tenant_id="demo", message_type="text.generate", payload=b'{"text": "Hello"}'),
    policy_id="demo-policy",
)
PATIENCE = 15.0
"""Seconds that a decide may take."""


class Told(NamedTuple):
    """How a call went, as its caller saw it."""

    what: str
    status: str
    well: bool
    fields: Mapping[str, str]
    """Header fields; over gRPC the metadata before or behind the message. Names in lower case."""
    seconds: float


@dataclass(slots=True)
class Beamline:
    """Both stand-ins, and the ports at which they take orders for trouble."""

    gateway: CGateway = field(
        # The real one's 50 decides a minute are soon used up by a person who tries things.
        default_factory=lambda: CGateway(mode=Mode.ROUTER, limits=Limits(decide=100_000), say=lambda _: None)
    )
    router: StandIn = field(default_factory=lambda: StandIn(control=0))
    control: Control = field(init=False)

    def __post_init__(self) -> None:
        self.control = Control(self.gateway)

    async def start(self) -> dict[str, str]:
        """Listen. The URLs by the names that they have in the policy file."""
        urls = {"gateway": await self.gateway.start(), "router": f"grpc://{await self.router.start()}"}
        await self.control.start()
        return urls

    async def stop(self) -> None:
        """Close every port."""
        await self.control.stop()
        await self.router.stop()
        await self.gateway.stop()

    def hints(self, http: str, rpc: str) -> list[tuple[str, str]]:
        """What to try by hand, each with what it shows."""
        body = '{"message": {"type": "text.generate", "payload": "hi"}}'
        curl = f"curl -i {http}{PATH} -H 'X-Tenant-ID: me' -d '{body}'"
        dead = """curl -d '{"kind": "dead", "lasts": 20}'"""
        assert self.router.control is not None
        return [
            (curl, "a decide over HTTP"),
            (f".venv/bin/python examples/beamline/decide_grpc.py --count 3 --sidecar {rpc}", "over gRPC"),
            (f"{dead} {self.control.url}/_fault", "kill c-gateway for 20 s"),
            (f"{dead} {self.router.control.url}/_fault", "the Router, too"),
        ]


@dataclass(slots=True)
class Decides:
    """The chapter, and its callers: `tell` hears how each call went."""

    beamline: Beamline
    session: aiohttp.ClientSession
    channel: grpc.aio.Channel
    http: str
    tell: Callable[[Told], Awaitable[None]]

    async def story(self, say: Callable[[str], None]) -> None:
        """Each dies once. Two seconds."""
        gateway, router = self.beamline.gateway, self.beamline.router
        say("\nDecides: over HTTP c-gateway takes them, over gRPC the Router:")
        await self.tell(await self.over_http())
        await self.tell(await self.over_grpc())
        say("\nc-gateway is killed. The Router decides in its place, over gRPC; its caller never knows:")
        await gateway.switch(GatewayFault(GatewayKind.DEAD))
        await self.tell(await self.over_http())
        await gateway.switch(WELL)
        say("\nThe other way round: the Router is killed, and c-gateway answers the gRPC caller:")
        await router.switch(Fault(Kind.DEAD))
        await self.tell(await self.over_grpc())
        await router.switch(HEALTHY)

    async def over_http(self) -> Told:
        """One decide, in the shape that c-gateway's documentation shows."""
        clock = asyncio.get_running_loop().time
        began = clock()
        headers = {"X-Tenant-ID": "demo"}
        async with self.session.post(self.http + PATH, json=DOCUMENT, headers=headers) as reply:
            await reply.read()
        fields = {name.lower(): value for name, value in reply.headers.items()}
        return Told("POST …/decide", str(reply.status), reply.status < 400, fields, clock() - began)

    async def over_grpc(self) -> Told:
        """One decide, as the Router's clients ask for it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        method: grpc.aio.UnaryUnaryMultiCallable[RouteRequest, RouteDecision] = self.channel.unary_unary(
            "/beamline.flow.v1.Router/Decide", RouteRequest.SerializeToString, RouteDecision.FromString
        )
        call: Any = method(REQUEST, timeout=PATIENCE)
        code = await call.code()
        pairs = [*(await call.initial_metadata() or ()), *(await call.trailing_metadata() or ())]
        fields = {name: value for name, value in pairs if isinstance(value, str)}
        return Told("Router/Decide", code.name, code is grpc.StatusCode.OK, fields, clock() - began)


def channel_to(address: str) -> grpc.aio.Channel:
    """A plain channel; the environment's proxy is not for it."""
    return grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
