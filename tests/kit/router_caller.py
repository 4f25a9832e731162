"""A client of the Router with no resilience in it: one channel, one attempt a call."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc

from sidecar.pb.beamline.flow.v1 import flow_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.protobuf.message import Message

    from sidecar.standins.router import StandIn

KEY = ("x-api-key", "beamline-demo-key")
METHODS = {
    method.name: (f"/{service.full_name}/{method.name}", getattr(pb, method.output_type.name))
    for service in pb.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


class RouterCaller:
    """Calls the methods at one target."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def ask(self, method: str, request: Message | bytes, *metadata: tuple[str, str]) -> Any:
        """The reply message. Raises `grpc.aio.AioRpcError`."""
        path, reply = METHODS[method]
        data = request if isinstance(request, bytes) else request.SerializeToString()
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, Any] = self.channel.unary_unary(
            path, response_deserializer=reply.FromString
        )
        return await call(data, metadata=metadata, timeout=20)

    async def refused(self, method: str, request: Message | bytes, *metadata: tuple[str, str]) -> grpc.aio.AioRpcError:
        """The status of a call that must fail."""
        try:
            reply = await self.ask(method, request, *metadata)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError(f"{method} answered {reply}")


def route(policy_id: str = "default", tenant: str = "demo", kind: str = "chat", **context: str) -> pb.RouteRequest:
    """A decide that is complete."""
    message = pb.Message(tenant_id=tenant, message_type=kind, payload=b'{"text":"hello"}')
    return pb.RouteRequest(message=message, policy_id=policy_id, context=context)


@asynccontextmanager
async def channel_to(target: str) -> AsyncIterator[RouterCaller]:
    """A channel of its own: connections of another test's are not shared."""
    options = (
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.enable_retries", 0),  # grpcio's own would take grpc-previous-rpc-attempts away
    )
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        yield RouterCaller(channel)


@asynccontextmanager
async def calling(router: StandIn) -> AsyncIterator[RouterCaller]:
    """The stand-in, running, and a caller of it."""
    async with router, channel_to(router.target) as caller:
        yield caller
