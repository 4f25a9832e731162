"""One gRPC call of any kind, from its first byte to its status.

Messages go up in a task of their own while the reply comes down, and each
direction takes the next message only when the last one was taken: memory is one
message each way.

Evidence is the initial metadata, the first message or the status, whichever comes
first. grpcio shows empty initial metadata also for a reply that is a status alone
(Trailers-Only), a moment before the status itself. So empty metadata are evidence
only if nothing follows within `GRACE`; else an UNAVAILABLE would be committed.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from sidecar.body import Superseded
from sidecar.call import Facts, Reply, What
from sidecar.errors import CallerLeft, DeadlineExceeded, InternalError, Refused, UpstreamError
from sidecar.upstreams.grpc_metadata import pairs
from sidecar.upstreams.grpc_status import LOST, OK_FACTS, status_alone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.call import Attempt, Call, Headers

GRACE = 0.02
"""Seconds between empty initial metadata and the status that may belong to them: C-core tells both within one."""


class StreamedCall:
    """Sends the messages and gives the reply; afterwards it is the reply's chunks and closer.

    `judge` makes facts of a status, once the channel has `caught_up` with it; `ended` hears once that the call is
    over. `idle` is the longest silence (seconds) between two messages of the reply, 0 for any.
    """

    def __init__(
        self,
        rpc: Any,
        call: Call,
        attempt: Attempt,
        *,
        judge: Callable[[str, str, Headers], Facts],
        caught_up: Callable[[str], Awaitable[None]],
        ended: Callable[[], None],
        idle: float = 0.0,
    ) -> None:
        self._rpc = rpc
        self._call = call
        self._attempt = attempt
        self._judge = judge
        self._caught_up = caught_up
        self._ended: Callable[[], None] | None = ended
        self._idle = idle
        self._stalled = False
        self._fault: Refused | CallerLeft | None = None
        self._first: asyncio.Task[Any] | None = None
        self._given: bytes | None = None
        self._reply: Reply | None = None
        self._loop = asyncio.get_running_loop()
        self._sender = self._loop.create_task(self._send(), name="send messages")
        self._sender.add_done_callback(self._sent)

    async def begin(self) -> Reply:
        """The reply, at evidence. Raises `UpstreamError`, or what was wrong with the caller's messages."""
        try:
            headers = pairs(await self._rpc.initial_metadata())
            if not headers and not self._rpc.done():
                await self._grace()
            if self._rpc.done() and (self._first is None or self._first.done()):
                message = await self._next()
                if message is None:
                    return await self._status_alone(headers)
                self._given = message
        except BaseException:
            self.close()
            raise
        reply = self._reply = Reply(200, b"", headers, OK_FACTS, dict(headers))
        reply.chunks = self
        reply.closer = self
        return reply

    # The reply's messages.

    def __aiter__(self) -> StreamedCall:
        return self

    async def __anext__(self) -> bytes:
        silence = self._loop.call_later(self._idle, self._stall) if self._idle else None
        try:
            message = await self._next()
        finally:
            if silence is not None:
                silence.cancel()
        if message is not None:
            return message
        if self._stalled:
            raise UpstreamError(Facts(What.BROKE, detail=f"no message for {self._idle:g} s"))
        reply = self._reply
        assert reply is not None
        reply.code, reply.message, trailers = await self._status()
        reply.trailers = trailers
        if reply.code == "DEADLINE_EXCEEDED" and self._judge(reply.code, "", []).what is What.CALLER_DEADLINE:
            raise DeadlineExceeded("the caller's deadline has passed")  # no fault of the server's
        if reply.code in LOST:
            raise UpstreamError(Facts(What.BROKE, grpc_code=reply.code, detail=reply.message))
        raise StopAsyncIteration

    def close(self) -> None:
        """End it, whatever is on its way."""
        if self._ended is None:
            return
        ended, self._ended = self._ended, None
        if not self._sender.done():
            self._sender.cancel()
        if self._first is not None:
            self._first.cancel()
        if not self._rpc.done():
            self._rpc.cancel()
        ended()

    def _stall(self) -> None:
        self._stalled = True
        self._rpc.cancel()

    async def _next(self) -> bytes | None:
        """The next message, None when the status is next."""
        if self._given is not None:
            given, self._given = self._given, None
            return given
        try:
            if self._first is not None:
                first, self._first = self._first, None
                message = await first
            else:
                message = await self._rpc.read()
        except grpc.aio.AioRpcError:
            message = grpc.aio.EOF
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            message = grpc.aio.EOF  # we have cancelled the call, or its channel was closed
        if self._fault is not None:
            raise self._fault
        return None if message is grpc.aio.EOF else bytes(message)

    async def _grace(self) -> None:
        """Wait a moment for what may follow empty initial metadata at once."""
        loop = self._loop
        self._first = loop.create_task(self._rpc.read(), name="first message")
        came: asyncio.Future[None] = loop.create_future()

        def look(_: object = None) -> None:
            if not came.done():
                came.set_result(None)

        self._first.add_done_callback(look)
        self._first.add_done_callback(_heard)
        timer = loop.call_later(GRACE, look)
        try:
            await came
        finally:
            timer.cancel()

    async def _status(self) -> tuple[str, str, Headers]:
        rpc = self._rpc
        code: str = (await rpc.code()).name
        return code, await rpc.details() or "", pairs(await rpc.trailing_metadata() or ())

    async def _status_alone(self, headers: Headers) -> Reply:
        code, detail, trailers = await self._status()
        await self._caught_up(detail)
        facts = self._judge(code, detail, trailers)
        self.close()
        if facts.what is not What.REPLY:
            raise UpstreamError(facts)
        return status_alone(code, detail, headers, trailers, facts)

    # The caller's messages.

    async def _send(self) -> None:
        rpc = self._rpc
        try:
            await rpc.wait_for_connection()
            # Not `rpc.write`: where a server answers before it has heard everything, that one fails and puts
            # "INTERNAL: Internal error from Core" in the place of what the server said.
            write = rpc._cython_call.send_serialized_message  # noqa: SLF001 - a contract test holds the name
            async with contextlib.aclosing(self._call.body.pieces()) as messages:
                async for message in messages:
                    await write(message)
            await rpc.done_writing()
            self._attempt.sent()
        except (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError, Superseded):
            return  # the status says why; what a later attempt reads is not sent here, too
        except (Refused, CallerLeft) as fault:
            self._fault = fault
            rpc.cancel()

    def _sent(self, task: asyncio.Task[None]) -> None:
        """A bug of ours must not leave the call waiting for its deadline."""
        if not task.cancelled() and task.exception() is not None:
            self._fault = InternalError("the messages could not be passed on")
            self._fault.__cause__ = task.exception()
            self._rpc.cancel()


def _heard(task: asyncio.Task[Any]) -> None:
    """Its error is the status, which is told anyway."""
    if not task.cancelled():
        task.exception()
