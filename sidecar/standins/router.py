"""A stand-in Beamline Router on gRPC, with faults that can be switched while it runs.

It keeps policies and decides by them, as the Router does; what it knows is gone when it
ends. `grpc.health.v1` stands beside its methods and meets no fault but a closed port.
Faults are switched over HTTP at a port of their own, which stays open when the Router is dead:

    python -m sidecar.standins.router --port 50051 --control 50052 --fault slow:delay=3
    curl -d '{"kind": "fail", "code": "UNAVAILABLE", "share": 0.5}' localhost:50052/_fault
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sidecar.standins.grpc_faults import HEALTHY, Fault, Kind
from sidecar.standins.kept_port import KeptPort
from sidecar.standins.router_access import DEMO_KEY, DEMO_READ_KEY, Access
from sidecar.standins.router_control import Control
from sidecar.standins.router_error import RouterError
from sidecar.standins.router_service import REQUESTS, RouterService
from sidecar.standins.switching import Switching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second server on the port is a mistake, and not every other call's
    ("grpc.max_receive_message_length", -1),  # the Router has no limit of its own
    ("grpc.max_send_message_length", -1),
)
Context = grpc.aio.ServicerContext[Any, Any]

REMEMBERED = 1000
"""Calls whose metadata are kept, the last ones."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One call as it came: the method's name without package and service, its metadata in their order, and whether it
    met the fault.
    """

    method: str
    metadata: tuple[tuple[str, str | bytes], ...]
    faulty: bool


class StandIn:
    """One Router on one port. `async with` it, or `start` and `stop` it.

    `calls` counts by method name those that arrived, `faulty` those that met the fault, `last` has the last 1,000 of
    them. `arrived` is set by each; who waits for another clears it. `control` is the port for curl: 0 takes a free one,
    None opens none.
    """

    def __init__(
        self,
        name: str = "router",
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        control: int | None = None,
        fault: Fault = HEALTHY,
        service: RouterService | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.fault = fault
        self.service = service or RouterService()
        self.calls: Counter[str] = Counter()
        self.faulty = 0
        self.last: deque[Seen] = deque(maxlen=REMEMBERED)
        self.arrived = asyncio.Event()
        self.control = None if control is None else Control(self, host, control)
        self._since_switch = 0
        self._server: grpc.aio.Server | None = None
        self._kept = KeptPort()
        self._switching = Switching(self._become, HEALTHY)
        self._turning = asyncio.Lock()
        """Opening and closing take a moment, in which another switch may come."""

    @property
    def target(self) -> str:
        """What a channel is made for; known once it has started."""
        return f"{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> str:
        """Begin with the fault given. The target; with a dead one the port is reserved, and then closed again."""
        try:
            await self._open()
            if self.control is not None:
                await self.control.start()
            await self.switch(self.fault)
        except OSError:
            await self.stop()
            raise
        return self.target

    async def stop(self) -> None:
        """Close the ports and every connection, busy ones too."""
        self._switching.forget()
        async with self._turning:
            await self._close()
            self._kept.give_up()
        if self.control is not None:
            await self.control.stop()

    async def switch(self, fault: Fault) -> None:
        """Behave like this from the next call on; `lasts` seconds, if the fault has an end."""
        await self._switching.to(fault)

    async def _become(self, fault: Fault) -> None:
        async with self._turning:
            if fault.kind is Kind.DEAD:
                await self._close()
            else:
                await self._open()
            self.fault = fault
            self._since_switch = 0

    async def _open(self) -> None:
        if self._server is not None:
            return
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((Methods(self._serve),))
        serving = health.aio.HealthServicer()
        for name in {path.split("/")[1] for path in REQUESTS}:
            await serving.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(serving, server)
        self._kept.give_up()
        self.port = server.add_insecure_port(self.target)
        self._server = server  # first: a start that is given up still starts, and must be stopped
        await server.start()

    async def _close(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(None)
            self._kept.keep(self.host, self.port)

    async def _serve(self, path: str, data: bytes, context: Context) -> bytes:
        metadata = tuple(context.invocation_metadata() or ())
        meets = self.fault.kind is not Kind.NONE and self.fault.meets(self._since_switch)
        self._since_switch += 1
        self.faulty += meets
        method = path.rpartition("/")[2]
        self.calls[method] += 1
        self.arrived.set()
        self.last.append(Seen(method, metadata, meets))
        if meets:
            await self._misbehave(self.fault, context)
        known = {name: value for name, value in metadata if isinstance(value, str)}
        try:
            return self.service.answer(path, data, known)
        except RouterError as error:
            await context.abort(error.code, str(error))

    async def _misbehave(self, fault: Fault, context: Context) -> None:
        """Wait, and come back to answer well; or end the call."""
        if fault.kind is Kind.SLOW:
            await asyncio.sleep(fault.delay)
            return
        await context.abort(fault.status(), fault.message or f"{self.name} is unwell", fault.trailers())


class Methods(grpc.GenericRpcHandler):
    """The Router's methods by their paths. Messages stay bytes: what cannot be decoded is the Router's to refuse, and
    grpcio would say INTERNAL. Any other path is UNIMPLEMENTED.
    """

    def __init__(self, serve: Callable[[str, bytes, Context], Awaitable[bytes]]) -> None:
        def handler(path: str) -> grpc.RpcMethodHandler[bytes, bytes]:
            async def handle(data: bytes, context: Context) -> bytes:
                return await serve(path, data, context)

            return grpc.unary_unary_rpc_method_handler(handle)

        self._handlers = {path: handler(path) for path in REQUESTS}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        return self._handlers.get(handler_call_details.method)


def fault_argument(text: str) -> Fault:
    """For argparse, which shows the words of this error only."""
    try:
        return Fault.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m sidecar.standins.router", description="A stand-in Router.")
    parser.add_argument("--name", default="router")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="for gRPC; 0 takes a free one (default)")
    parser.add_argument("--control", type=int, default=0, help="for curl; 0 takes a free one (default)")
    parser.add_argument("--api-key", default=DEMO_KEY, help=f"the admin key (default: {DEMO_KEY})")
    parser.add_argument("--read-key", default=DEMO_READ_KEY, help=f"one that only reads (default: {DEMO_READ_KEY})")
    parser.add_argument(
        "--takes-correlation-id",
        action="store_true",
        help="let a Decide with x-correlation-id pass; the Router crashes on it",
    )
    parser.add_argument(
        "--fault", type=fault_argument, default=HEALTHY, metavar="KIND[:key=value,…]", help=", ".join(Kind)
    )
    return parser.parse_args()


def hints(router: StandIn, control: Control, key: str) -> str:
    """What to try by hand."""
    message = '{"message": {"tenant_id": "demo", "message_type": "chat", "payload": "aGk="}, "policy_id": "default"}'
    grpcurl = "grpcurl -plaintext -import-path proto -proto beamline/flow/v1/flow.proto"
    admin = f"""-H 'x-api-key: {key}' -d '{{"tenant_id": "demo"}}' {router.target} beamline.flow.v1.RouterAdmin"""
    return f"""
A decide, and the policies that it may name:

  {grpcurl} -d '{message}' {router.target} beamline.flow.v1.Router/Decide
  {grpcurl} {admin}/ListPolicies

Trouble: every second call fails; nobody listens for 20 s; a provider is away. And what came:

  curl -d '{{"kind": "fail", "code": "UNAVAILABLE", "share": 0.5}}' {control.url}/_fault
  curl -d '{{"kind": "dead", "lasts": 20}}' {control.url}/_fault
  curl -d '["openai"]' {control.url}/_down
  curl {control.url}/_calls
"""


async def serve_until_stopped(router: StandIn, key: str) -> None:
    """Start, say where it is and what to try, and go on until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with router:
        print(f"{router.name} {router.target} {router.fault.kind}", flush=True)
        if router.control is not None:
            print(hints(router, router.control, key), flush=True)
        await stopped.wait()


def main() -> None:
    """`python -m sidecar.standins.router`."""
    asked = arguments()
    service = RouterService(
        access=Access(asked.api_key, asked.read_key), breaks_on_correlation_id=not asked.takes_correlation_id
    )
    router = StandIn(asked.name, asked.host, asked.port, control=asked.control, fault=asked.fault, service=service)
    asyncio.run(serve_until_stopped(router, asked.api_key))


if __name__ == "__main__":
    main()
