"""An answer that is held back until it is whole keeps its caller's connection warm meanwhile.

Nothing is sent at first: an answer that is soon there has its own head. After
`WARM_AFTER` the caller gets the head of a stream, and comments in it until the answer
comes. What that head could not say yet comes in a last comment; a failure is an error event.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.dialects.llm_errors import LlmError, error_event, read_error
from sidecar.errors import CallerLeft, UpstreamProtocolError

if TYPE_CHECKING:
    from sidecar.call import Call, Reply
    from sidecar.errors import Refused
    from sidecar.http1.request import Request
    from sidecar.listeners.reply_head import ReplyHeads

WARM_AFTER = 10.0
"""Seconds until the head, and between the comments: proxies and clients that give up on silence mostly wait 30."""

WAITING = b": waiting\n\n"


class Warmth:
    """The waiting of one call. `begun`: its head is out, so its answer must go on behind it."""

    def __init__(self, request: Request, call: Call, heads: ReplyHeads) -> None:
        self._request = request
        self._call = call
        self._heads = heads
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(WARM_AFTER, self._beat)
        self.begun = False

    def stop(self) -> None:
        """The answer is here, or nobody waits any more."""
        self._timer.cancel()

    async def relay(self, reply: Reply) -> None:
        """Give the answer behind the comments. Raises what its chunks raise, behind their error event."""
        request, call = self._request, self._call
        if reply.status >= 400:
            self._failed(read_error(reply.status, reply.whole or b""), self._heads.of_reply(call, reply))
            return
        if reply.chunks is None:
            error = LlmError(502, "api_error", UpstreamProtocolError.label, "a stream was asked for and none came")
            self._failed(error, self._heads.of_reply(call, reply))
            return
        async for chunk in reply.chunks:
            if not self._write(chunk):
                await request.drain()
        self._write(_told(self._heads.of_reply(call, reply)))
        request.end(())

    def refuse(self, refusal: Refused, head: bytes) -> None:
        """Our own refusal; `head` are the header lines that it would have had."""
        self._failed(LlmError(refusal.http_status, refusal.type, refusal.label, refusal.message), head)

    def _failed(self, error: LlmError, head: bytes) -> None:
        assert self._call.llm is not None, "only streams of LLMs are kept warm"
        self._write(error_event(self._call.llm.kind, error) + _told(head))
        self._request.abort()  # it must not look finished

    def _write(self, piece: bytes) -> bool:
        self._call.bytes_out += len(piece)
        return self._request.write(piece)

    def _beat(self) -> None:
        self._timer = self._loop.call_later(WARM_AFTER, self._beat)
        try:
            if not self.begun:
                self.begun = True
                self._request.start(200, self._heads.of_waiting(self._call), None)
            self._write(WAITING)
        except CallerLeft:
            self._timer.cancel()


def _told(head: bytes) -> bytes:
    """What is ours of the header lines, as comments."""
    lines = [b": %b\n" % line for line in head.split(b"\r\n") if line.startswith(b"X-Sidecar-")]
    return b"".join(lines) + b"\n"
