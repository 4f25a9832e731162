r"""The whole of Beamline in one test: a stand-in c-gateway, a stand-in Router, the sidecar before both.

async with beamline() as here:
    await here.gateway.switch(GatewayFault(GatewayKind.DEAD))
    answered = await here.http(DOCUMENTED)
    assert (answered.status, answered.by) == ("200", "router")
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from sidecar.pb.beamline.flow.v1 import flow_pb2 as pb
from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_faults import WELL, GatewayFault
from sidecar.standins.c_gateway_limits import Limits
from sidecar.standins.router import StandIn
from tests.kit.decides import DOCUMENTED, REAL, ROUTE_REQUEST
from tests.kit.router_caller import RouterCaller, channel_to
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from google.protobuf.message import Message

    from tests.kit.running import Running

DECIDE = "/api/v1/routes/decide"
SORRY = """
[static.sorry]
status = 503
headers = { content-type = "application/json" }
body = '{"error": {"message": "all providers are down"}}'
grpc_code = "UNAVAILABLE"
grpc_message = "all providers are down"
"""
BOTH = ("c-gateway", "router")


def a_gateway(fault: GatewayFault = WELL, decides: int = 50) -> CGateway:
    """One that is silent about its death, and takes so many decides a minute."""
    return CGateway(fault=fault, limits=Limits(decide=decides), say=lambda _: None)


@dataclass
class Answered:
    """What a decide came to, over either wire. `status` is `200` or `OK`, `said` the JSON or the message."""

    status: str
    said: Any
    told: Mapping[str, str]
    """Header fields; over gRPC the metadata before and behind the message."""
    details: bytes = b""
    """`grpc-status-details-bin`."""

    @property
    def well(self) -> bool:
        return self.status in {"200", "OK"}

    @property
    def by(self) -> str:
        return self.told["x-sidecar-upstream"]

    @property
    def attempts(self) -> int:
        return int(self.told["x-sidecar-attempts"])


@dataclass
class Beamline:
    """Both stand-ins, the sidecar, and callers with no resilience of their own."""

    gateway: CGateway
    router: StandIn
    sidecar: Running
    caller: RouterCaller

    async def http(self, document: Mapping[str, Any] | bytes = DOCUMENTED, *fields: str) -> Answered:
        """A decide over HTTP; `fields` are its header lines beside the tenant's."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        lines = ("X-Tenant-ID: demo-tenant", "Content-Type: application/json", *fields)
        answer = await self.sidecar.ask(DECIDE, *lines, method="POST", body=body)
        return Answered(str(answer.status), json.loads(answer.body), answer.fields)

    async def real(self) -> Answered:
        """A decide over HTTP in the shape that c-gateway itself takes."""
        return await self.http(REAL)

    async def rpc(
        self, request: Message | bytes = ROUTE_REQUEST, *metadata: tuple[str, str], seconds: float = 20
    ) -> Answered:
        """A decide over gRPC."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, Any] = self.caller.channel.unary_unary(
            "/beamline.flow.v1.Router/Decide", response_deserializer=pb.RouteDecision.FromString
        )
        call = method(data, metadata=metadata, timeout=seconds)
        try:
            said: Any = await call
        except grpc.aio.AioRpcError as error:
            said = error.details()
        pairs: dict[str, Any] = dict(await call.initial_metadata() or ()) | dict(await call.trailing_metadata() or ())
        details = pairs.pop("grpc-status-details-bin", b"")
        return Answered((await call.code()).name, said, pairs, details)

    async def until_trusted(self, name: str) -> None:
        """Ask until the breaker of that upstream is closed again."""
        breaker = self.sidecar.runtime.breakers()[name]
        while breaker.state != "closed":
            await (self.http() if name == "c-gateway" else self.rpc())


@asynccontextmanager
async def beamline(
    *,
    http: tuple[str, ...] = (*BOTH, "static/sorry"),
    grpc: tuple[str, ...] = ("router", "c-gateway", "static/sorry"),
    more: str = "",
    retry: str = "",
    gateway: CGateway | None = None,
    router: StandIn | None = None,
) -> AsyncIterator[Beamline]:
    """All of it for the length of a test, on free ports. The two chains; `more` are further lines of both upstreams,
    `retry` such of what all routes start from.
    """
    gateway, router = gateway or a_gateway(), router or StandIn()
    async with gateway, router:
        policy = f"""
[listen]
http = "127.0.0.1:0"
grpc = "127.0.0.1:0"
admin = ""
[policies.default.retry]
backoff = "1ms"
{retry}
[upstreams.c-gateway]
protocol = "c-gateway"
url = "{gateway.url}"
{more}
[upstreams.router]
protocol = "router"
url = "grpc://{router.target}"
{more}
[routes.decide]
match = {{ path = "{DECIDE}", methods = ["POST"] }}
chain = {json.dumps(http)}
idempotent = true
[routes.router]
match = {{ grpc = "beamline.flow.v1.*" }}
chain = {json.dumps(grpc)}
{SORRY}
"""
        async with running(policy) as sidecar, channel_to(sidecar.daemon.addresses["grpc"]) as caller:
            yield Beamline(gateway, router, sidecar, caller)
