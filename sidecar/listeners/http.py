"""The HTTP listener: requests in, replies out.

It knows the wire and two callables: `exchange`, which makes a reply of a call,
and `builtin`, which answers the sidecar's own paths where no route takes them.
Policies are not its business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.dialects.refusal import body_of, lines_of, never_tells_off
from sidecar.errors import CallerLeft, ForbiddenToken, InternalError, Refused, UpstreamError
from sidecar.http1.reply_framing import DateLine, status_line
from sidecar.listeners.reply_head import ReplyHeads, interim_lines
from sidecar.listeners.warmth import Warmth

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from sidecar.call import Call, Headers, Reply
    from sidecar.http1.request import Request
    from sidecar.listeners.read_call import CallReader

OPEN_PATHS = frozenset({b"/livez", b"/readyz"})
"""Asked by the machinery around us, never with a token."""

BUILTIN_PATHS = OPEN_PATHS | {b"/health", b"/metrics", b"/circuit-breakers"}

_READS = frozenset({b"GET", b"HEAD"})


class HttpListener:
    """Serves the requests of all connections of one listener.

    `builtin` gets a call on one of `BUILTIN_PATHS` and gives status, content type and
    body, or None when a route takes the call. `crashed` hears of our bugs, `unreadable` of
    requests that could not be served as such.
    """

    def __init__(
        self,
        reader: CallReader,
        heads: ReplyHeads,
        exchange: Callable[[Call], AbstractAsyncContextManager[Reply]],
        builtin: Callable[[Call], tuple[int, bytes, bytes] | None],
        crashed: Callable[[Call, BaseException], None],
        unreadable: Callable[[Call, Refused], None],
    ) -> None:
        self._reader = reader
        self._heads = heads
        self._exchange = exchange
        self._builtin = builtin
        self._crashed = crashed
        self._unreadable = unreadable
        self._date = DateLine()

    async def serve(self, request: Request) -> None:
        """Answer one request."""
        call = self._reader.read(request)
        if call.path in BUILTIN_PATHS and call.method in _READS and self._answered_here(request, call):
            return
        call.inform = lambda status, headers: _inform(request, status, headers)
        warmth: Warmth | None = None

        def keep_warm() -> None:
            nonlocal warmth
            warmth = Warmth(request, call, self._heads)

        call.keep_warm = keep_warm
        try:
            async with self._exchange(call) as reply:
                if warmth is not None:
                    warmth.stop()
                    if warmth.begun:
                        await warmth.relay(reply)
                        return
                await self._relay(request, call, reply)
        except Refused as refusal:
            if refusal.__cause__ is not None:  # a bug of ours that a task of the call met
                self._crashed(call, refusal.__cause__)
            if warmth is not None and warmth.begun:
                warmth.refuse(refusal, self._head_of(call, refusal))
            else:
                self._refuse(request, call, refusal)
        except UpstreamError:
            request.abort()  # a reply that was cut must not look finished
        except CallerLeft:
            request.abort()
        except Exception as error:  # noqa: BLE001 - the one place where a crash of ours becomes an answer (rule 13)
            self._crashed(call, error)
            self._refuse(request, call, InternalError("an internal error; the log has more under this id"))
        finally:
            call.keep_warm = None  # it holds the call: a circle would be the collector's to find
            if warmth is not None:
                warmth.stop()

    async def _relay(self, request: Request, call: Call, reply: Reply) -> None:
        head = self._heads.of_reply(call, reply)
        dated = b"date" in reply.fields
        whole = reply.whole
        if whole is not None and (whole or not reply.length):  # to HEAD a length is told and nothing sent
            call.bytes_out = len(whole)
            request.respond(reply.status, head, whole, reason=reply.reason, dated=dated)
            return
        if reply.tunnel is not None:
            head += b"Upgrade: %b\r\n" % reply.fields.get(b"upgrade", call.upgrade)
            request.start(reply.status, head, None, reason=reply.reason, dated=dated)
            transport, early = request.detach()
            call.body.received, call.bytes_out = await reply.tunnel.splice(transport, early)
            return
        request.start(reply.status, head, reply.length, reason=reply.reason, dated=dated)
        if reply.chunks is not None:
            async for chunk in reply.chunks:
                call.bytes_out += len(chunk)
                if not request.write(chunk):
                    await request.drain()
        request.end(reply.trailers)

    def _refuse(self, request: Request, call: Call, refusal: Refused) -> None:
        if request.answered:
            request.abort()
            return
        request.respond(refusal.http_status, self._head_of(call, refusal), body_of(refusal, call))

    def _head_of(self, call: Call, refusal: Refused) -> bytes:
        tell_off = not never_tells_off(refusal)
        return self._heads.of_refusal(call, refusal.http_status, lines_of(refusal), tell_off=tell_off)

    def refuse(self, refusal: Refused, request: Request | None) -> bytes:
        """The whole answer to what could not be served as a request; the connection ends with it."""
        call = self._reader.unread(request)
        status = refusal.http_status
        body = body_of(refusal, call)
        head = self._heads.of_refusal(call, status, lines_of(refusal), tell_off=False)
        self._unreadable(call, refusal)
        return b"%b%b%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
            status_line(status),
            self._date(),
            head,
            len(body),
            body,
        )

    def _answered_here(self, request: Request, call: Call) -> bool:
        open_to_all = call.path in OPEN_PATHS and isinstance(call.refusal, ForbiddenToken)
        if call.refusal is not None and not open_to_all:
            return False
        answer = self._builtin(call)
        if answer is None:
            return False
        status, content_type, body = answer
        request.respond(status, b"Content-Type: %b\r\nCache-Control: no-store\r\n" % content_type, body)
        return True


def _inform(request: Request, status: int, headers: Headers) -> None:
    request.interim(status, interim_lines(headers))
