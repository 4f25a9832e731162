"""`grpc.health.v1.Health` for the sidecar itself, under the empty service name.

Any other name is asked of the service that bears it: the call goes where a call to
that service would go (grpc/doc/health-checking.md).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from sidecar.body import Messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.listeners.grpc import Context, GrpcListener

SERVICE = "/grpc.health.v1.Health/"

_Response = health_pb2.HealthCheckResponse
_UNKNOWN = _Response(status=_Response.SERVICE_UNKNOWN)


class Health:
    """Whether the sidecar takes calls. Those who watch hear of each change at once."""

    def __init__(self) -> None:
        self._serving = True
        self.over = False
        """Nobody is told any more: those who watch are let go, so that they hold up no drain."""
        self.change = asyncio.Event()
        """Set when there is something new; whoever waits for what is new from now on takes it before they look."""

    @property
    def serving(self) -> bool:
        return self._serving

    @serving.setter
    def serving(self, value: bool) -> None:
        self._serving = value
        self._changed()

    def end(self) -> None:
        """Let those go who watch, once they have heard the last change."""
        self.over = True
        self._changed()

    def _changed(self) -> None:
        self.change.set()
        self.change = asyncio.Event()

    @property
    def status(self) -> health_pb2.HealthCheckResponse:
        return _Response(status=_Response.SERVING if self._serving else _Response.NOT_SERVING)


class HealthHandler(grpc.GenericRpcHandler):
    """Answers for the sidecar, and passes what is asked of others on to `rpc`.

    `into` tells by which path calls to a service are routed, empty when by none.
    """

    def __init__(self, health: Health, rpc: GrpcListener, into: Callable[[bytes], bytes]) -> None:
        self._health = health
        self._rpc = rpc
        self._into = into
        self._handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            SERVICE + "Check": grpc.unary_unary_rpc_method_handler(self._check),
            SERVICE + "List": grpc.unary_unary_rpc_method_handler(self._list),
            SERVICE + "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """The handler of one call (called by grpcio), None for any other service's."""
        return self._handlers.get(handler_call_details.method)

    async def _check(self, message: bytes, context: Context) -> bytes | None:
        service = await _service(message, context)
        if not service:
            return self._health.status.SerializeToString()
        path = self._into(service.encode())
        if not path:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no route leads to {service}")
        return await self._rpc.serve(SERVICE + "Check", Messages.of(message), context, unary=True, routed_as=path)

    async def _list(self, _message: bytes, _context: Context) -> bytes:
        statuses = {"": self._health.status}
        told: bytes = health_pb2.HealthListResponse(statuses=statuses).SerializeToString()  # type: ignore[attr-defined]  # the stubs are older
        return told

    async def _watch(self, message: bytes, context: Context) -> None:
        service = await _service(message, context)
        path = self._into(service.encode()) if service else b""
        if path:
            await self._rpc.serve(SERVICE + "Watch", Messages.of(message), context, unary=False, routed_as=path)
        elif service:  # a route may come with a reload; the caller then asks anew
            await self._tell_changes(lambda: _UNKNOWN, context)
        else:
            await self._tell_changes(lambda: self._health.status, context)

    async def _tell_changes(self, look: Callable[[], health_pb2.HealthCheckResponse], context: Context) -> None:
        told = None
        while True:
            change, status = self._health.change, look()
            if status != told:
                await context.write(status.SerializeToString())
                told = status
            if self._health.over and look() == told:
                return
            await change.wait()


async def _service(message: bytes, context: Context) -> str:
    try:
        return health_pb2.HealthCheckRequest.FromString(message).service
    except Exception:
        await context.abort(grpc.StatusCode.INTERNAL, "this is no HealthCheckRequest")
        raise
