"""Sends a request body that is still coming, while its reply is awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.body import Superseded
from sidecar.errors import CallerLeft, InternalError, Refused
from sidecar.http1.failures import ExchangeFailed

if TYPE_CHECKING:
    from sidecar.call import Attempt, Call
    from sidecar.http1.client import ClientConnection
    from sidecar.upstreams.request_head import HeadWriter

CONTINUE_PATIENCE = 1.0
"""How long (seconds) a body is held back for a 100 that may never come (RFC 9110, section 10.1.1)."""


class BodySender:
    """One body on its way to one connection.

    When the caller's side fails (it left, its body is too long or too slow), the
    upstream connection is closed, so that the upstream never takes a part for the
    whole, and `check` raises what happened.
    """

    __slots__ = ("_attempt", "_call", "_connection", "_fault", "_task")

    def __init__(self, call: Call, attempt: Attempt, connection: ClientConnection) -> None:
        self._call = call
        self._attempt = attempt
        self._connection = connection
        self._fault: Refused | CallerLeft | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self, writer: HeadWriter, idle: float) -> None:
        """Write the head and start the body; with `Expect: 100-continue` only when the upstream wants it."""
        call, body = self._call, self._call.body
        waits = call.expects_continue and not body.received
        self._connection.send(
            writer.write(call, length=body.length, chunked=body.length is None),
            length=body.length,
            head_only=call.method == b"HEAD",
            upgrade=bool(call.upgrade),
            idle=idle,
            interim=call.inform,
        )
        if waits and not await self._connection.continued_within(CONTINUE_PATIENCE):
            return  # the final reply came first: nobody wants the body
        self._task = asyncio.create_task(self._run(writer))
        self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """The reply is done with: what is left of the body is not sent."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._connection.close()

    def check(self) -> None:
        """Raise what went wrong on the caller's side, if anything did."""
        if self._fault is not None:
            raise self._fault

    async def _run(self, writer: HeadWriter) -> None:
        body, connection = self._call.body, self._connection
        try:
            async for piece in body.pieces():
                connection.write_body(piece)
                await connection.drain()
            connection.end_body(writer.trailers(body.trailers))
            self._attempt.sent()
        except (ExchangeFailed, Superseded):
            return  # whoever awaits the reply is told the same; what a later attempt reads is not sent here, too
        except (Refused, CallerLeft) as fault:
            self._fault = fault
            connection.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A bug of ours must not leave the call waiting for its deadline."""
        if not task.cancelled() and task.exception() is not None:
            self._fault = InternalError("the request body could not be passed on")
            self._fault.__cause__ = task.exception()
            self._connection.close()
