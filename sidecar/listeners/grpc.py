"""The gRPC listener: calls of any service in, messages as bytes, statuses out.

It knows grpcio's server side and one callable: `exchange`, which makes a reply of
a call. One raw `stream_stream` handler serves every kind of call, since it reads
nothing before the upstream does; a method known to be unary takes `unary_unary`.

A status that an upstream gave passes unchanged. Those of our own are from the list
that gRFC A54 leaves to a proxy.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from sidecar.body import Messages
from sidecar.dialects.metadata import is_name, is_text
from sidecar.dialects.refusal import status_of
from sidecar.errors import CallerLeft, InternalError, Refused, UpstreamError, UpstreamReset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from sidecar.body import ReplayMemory
    from sidecar.call import Call, Headers, Reply
    from sidecar.listeners.metadata import ReplyMetadata
    from sidecar.listeners.read_metadata import MetadataReader

MOST_METHODS = 1000
"""Handlers kept ready. Methods' names are the callers', and endless."""

STUCK = 300.0
"""Seconds after which a caller that takes no message is given up: it holds an upstream for nobody."""

Context = grpc.aio.ServicerContext[bytes, bytes]
Ending = tuple[str, str, "Headers"]
"""Code, text and trailing metadata of a call's end."""


class GrpcListener(grpc.GenericRpcHandler):
    """Serves the calls of all connections of one listener.

    `unary` tells whether a method (`/package.Service/Method`) is known to be unary.
    `crashed` hears of our bugs.
    """

    def __init__(
        self,
        reader: MetadataReader,
        metadata: ReplyMetadata,
        exchange: Callable[[Call], AbstractAsyncContextManager[Reply]],
        unary: Callable[[bytes], bool],
        memory: ReplayMemory,
        crashed: Callable[[Call, BaseException], None],
        *,
        secure: bool = False,
    ) -> None:
        self._reader = reader
        self.metadata = metadata
        self._exchange = exchange
        self._is_unary = unary
        self._memory = memory
        self._crashed = crashed
        self._secure = secure
        self._handlers: dict[tuple[str, bool], grpc.RpcMethodHandler[bytes, bytes]] = {}
        self.calls = 0
        """Under way now."""
        self.unsent = 0
        """Calls whose status has not been sent; they may be over, since callers may be slow to take the last of it."""
        self.on_change: Callable[[], None] | None = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """The handler of one call (called by grpcio)."""
        method: str = handler_call_details.method
        unary = self._is_unary(method.encode())
        handler = self._handlers.get((method, unary))
        if handler is None:
            if len(self._handlers) >= MOST_METHODS:
                self._handlers.clear()
            handler = self._handlers[method, unary] = self._handler(method, unary=unary)
        return handler

    def _handler(self, method: str, *, unary: bool) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def serve_unary(message: bytes, context: Context) -> bytes | None:
            return await self.serve(method, Messages.of(message), context, unary=True)

        async def serve_any(_: object, context: Context) -> None:
            incoming = Incoming(context)
            body = Messages(incoming.pull, length=None, memory=self._memory)
            try:
                await self.serve(method, body, context, unary=False)
            finally:
                incoming.close()

        if unary:
            return grpc.unary_unary_rpc_method_handler(serve_unary)
        return grpc.stream_stream_rpc_method_handler(serve_any)

    async def serve(
        self, method: str, body: Messages, context: Context, *, unary: bool, routed_as: bytes = b""
    ) -> bytes | None:
        """Answer one call: of a unary one the message is returned, else all are written.

        `routed_as`: the path by which its route is found, where that is not the method's own.
        """
        call = self._reader.read(
            method,
            context.invocation_metadata() or (),
            body,
            deadline=context.time_remaining(),
            peer=context.peer(),
            host=b"",
            secure=self._secure,
            unary=unary,
        )
        if routed_as:
            call.path = routed_as
        self._count(1)
        task = asyncio.current_task()  # grpcio's for this call, which ends when all has been sent
        assert task is not None
        task.add_done_callback(self._sent)
        self.unsent += 1
        reply: Reply | None = None
        try:
            async with self._exchange(call) as reply:
                message = await self._relay(call, reply, context)
            if reply.code == "OK":
                context.set_trailing_metadata(_sent(self.metadata.trailing(call, reply)))
                return message
            ending = reply.code, reply.message, self.metadata.trailing(call, reply)
        except Refused as refusal:
            if refusal.__cause__ is not None:  # a bug of ours that a task of the call met
                self._crashed(call, refusal.__cause__)
            ending = self._refused(call, refusal)
        except UpstreamError as error:
            ending = self._broken(call, reply, error)
        except CallerLeft:
            ending = "CANCELLED", "the caller has left", []
        except Exception as error:  # noqa: BLE001 - the one place where a crash of ours becomes an answer (rule 13)
            self._crashed(call, error)
            ending = self._refused(call, InternalError("an internal error; the log has more under this id"))
        finally:
            self._count(-1)
        code, text, trailers = ending
        try:
            await context.abort(grpc.StatusCode[code], text, _sent(trailers))
        except grpc.aio.AbortError:
            raise
        except grpc.aio.BaseError:  # nobody is there to be told
            return None

    def _sent(self, _: object) -> None:
        self.unsent -= 1

    def _count(self, more: int) -> None:
        self.calls += more
        if self.on_change is not None:
            self.on_change()

    async def _relay(self, call: Call, reply: Reply, context: Context) -> bytes | None:
        """Pass the reply on; a unary one's message is given back, to leave with the status in one write."""
        initial = self.metadata.initial(call, reply)
        if call.unary and reply.whole is not None:
            await _told(context.send_initial_metadata(_sent(initial)))
            call.bytes_out = len(reply.whole)
            return reply.whole
        if initial:
            await _told(context.send_initial_metadata(_sent(initial)))
        if reply.whole is not None:
            call.bytes_out = len(reply.whole)
            await _passed_on(context.write(reply.whole))
        elif reply.chunks is not None:
            async for message in reply.chunks:
                call.bytes_out += len(message)
                await _passed_on(context.write(message))
        return None

    def _refused(self, call: Call, refusal: Refused) -> Ending:
        code, text, trailers = status_of(refusal, call)
        return code, text, self.metadata.refusal(call, trailers, refusal)

    def _broken(self, call: Call, reply: Reply | None, error: UpstreamError) -> Ending:
        """A stream that broke ends with the status that its upstream or its channel gave, else UNAVAILABLE."""
        if reply is not None and reply.code:
            return reply.code, reply.message, self.metadata.trailing(call, reply)
        return self._refused(call, UpstreamReset(error.facts.detail))


class Incoming:
    """The caller's messages, one at a time: whoever wants the next one shares one read, which no attempt's end cuts."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reading: asyncio.Task[bytes | None] | None = None

    def pull(self) -> asyncio.Future[bytes | None]:
        """The next message, None when the caller has sent its last."""
        self._reading = asyncio.get_running_loop().create_task(self._read(), name="read message")
        return self._reading

    def close(self) -> None:
        """The call is over: nobody waits for another message."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> bytes | None:
        try:
            message: Any = await self._context.read()
        except grpc.aio.BaseError as error:  # the call is over
            raise CallerLeft from error
        return None if message is grpc.aio.EOF else message


async def _told(sending: Awaitable[None]) -> None:
    """Await a write that no caller can hold up; raises `CallerLeft` when there is nobody left to take it."""
    try:
        await sending
    except grpc.aio.BaseError as error:
        raise CallerLeft from error


async def _passed_on(sending: Awaitable[None]) -> None:
    """Await a write that a caller may not take; raises `CallerLeft` when it never does, or has left."""
    try:
        async with asyncio.timeout(STUCK):
            await _told(sending)
    except TimeoutError as error:
        raise CallerLeft from error


def _sent(headers: Headers) -> tuple[tuple[str, str | bytes], ...]:
    """Metadata as grpcio takes it. What C-core reads but does not send is left out, and the call goes on."""
    told: list[tuple[str, str | bytes]] = []
    for name, value in headers:
        if not is_name(name):
            continue
        if name.endswith(b"-bin"):
            told.append((name.decode("latin-1"), value))
        elif is_text(text := value.decode("latin-1")):
            told.append((name.decode("latin-1"), text))
    return tuple(told)
