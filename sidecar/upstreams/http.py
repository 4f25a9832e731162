"""An upstream that speaks HTTP/1.1: one pool for each of its addresses.

A body that is all here goes out with the head in one write. One that is still
coming is sent by a task of its own, because a reply may come, and be relayed,
while the request is still on its way; that is the only task a call ever gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.call import Facts, Reply, What
from sidecar.errors import UpstreamError
from sidecar.http1.failures import ExchangeFailed
from sidecar.http1.fields import forwardable
from sidecar.http1.tunnel import splice
from sidecar.retry_after import parse_wait
from sidecar.upstreams.body_sender import BodySender

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from sidecar.call import Attempt, Call, Headers
    from sidecar.http1.client import ClientConnection
    from sidecar.http1.drains import Drains
    from sidecar.http1.pool import Pool
    from sidecar.http1.reply import ReplyHead
    from sidecar.upstreams.request_head import HeadWriter


_FACTS = {
    status: Facts(What.REPLY, status=status) for status in (200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308)
}
"""The facts of most replies, made once."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an upstream. `origin` is its URL's scheme and authority with the base path, for `Location`."""

    pool: Pool
    head: HeadWriter
    origin: bytes


class HttpUpstream:
    """Sends calls to one service. Times are seconds; `idle` is the longest silence inside a reply, 0 for any.

    `private`: a credential of ours is sent, so the answers' `Access-Control-*` fields
    must not let a page read them. `finish` reads to its end what a call has given up: until
    then its place in the pool and its slot stay taken.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        connect: float,
        idle: float,
        wall: Callable[[], float],
        reuse: bool = True,
        private: bool = False,
        finish: Drains | None = None,
    ) -> None:
        self._addresses = tuple(addresses)
        self._connect = connect
        self._idle = idle
        self._wall = wall
        self.reuse = reuse
        self.finish = finish
        self.private = private

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        """One exchange with one address; returns at the reply's head."""
        address = self._addresses[attempt.address]
        pool = address.pool
        head, whole = b"", call.body.whole
        if whole is not None:  # made before there is a connection, which is then written to at once
            head = address.head.write(call, length=len(whole), chunked=False)
        connection = None if attempt.fresh or not self.reuse else pool.try_acquire()
        if connection is None:
            try:
                connection = await pool.acquire(self._connect, fresh=attempt.fresh or not self.reuse)
            except ExchangeFailed as failure:
                raise UpstreamError(Facts(failure.what, detail=failure.detail)) from failure
        sender: BodySender | None = None
        try:
            if whole is not None:
                connection.send(
                    head + whole,
                    head_only=call.method == b"HEAD",
                    upgrade=bool(call.upgrade),
                    idle=self._idle,
                    interim=call.inform,
                )
            else:
                sender = BodySender(call, attempt, connection)
                await sender.begin(address.head, self._idle)
            reply = await connection.head()
        except ExchangeFailed as failure:
            pool.release(connection)
            if sender is not None:
                sender.stop()
                sender.check()
            raise UpstreamError(Facts(failure.what, detail=failure.detail)) from failure
        except BaseException:
            _Closer(self, pool, connection, sender, attempt).close()
            raise
        return self._reply(call, attempt, connection, reply, sender)

    def _reply(
        self, call: Call, attempt: Attempt, connection: ClientConnection, head: ReplyHead, sender: BodySender | None
    ) -> Reply:
        address = self._addresses[attempt.address]
        headers, fields = forwardable(head.headers)
        status = head.status
        if b"location" in fields:
            headers = _mapped_back(headers, address.origin, call)
        if self.private:
            headers = [pair for pair in headers if not pair[0].lower().startswith(b"access-control-")]
        facts = _FACTS.get(status)
        if facts is None:
            wait = parse_wait(head.headers, self._wall) if status >= 400 else None
            facts = Facts(What.REPLY, status=status, wait=wait)
        reply = Reply(status, head.reason, headers, facts, fields, head.whole, head.length)
        if head.whole is not None and sender is None and not connection.trailers and self.reuse and status != 101:
            address.pool.release(connection)
            return reply
        reply.closer = closer = _Closer(self, address.pool, connection, sender, attempt)
        if status == 101:
            reply.whole = None
            reply.tunnel = _Switched(connection)
        elif head.whole is not None and not connection.trailers:
            closer.close()
        else:
            if head.whole is not None:
                reply.trailers = forwardable(connection.trailers)[0]
                reply.whole = None
            reply.chunks = _Chunks(reply, head.whole, connection, sender)
            reply.hasten = connection.hasten
        return reply

    async def aclose(self) -> None:
        """Close idle connections now and the busy ones when their replies end."""
        for address in self._addresses:
            await address.pool.aclose()


class _Chunks:
    """The reply's body as it comes; `first` is what had come with the head."""

    __slots__ = ("_connection", "_first", "_reply", "_sender")

    def __init__(
        self, reply: Reply, first: bytes | None, connection: ClientConnection, sender: BodySender | None
    ) -> None:
        self._reply = reply
        self._first = first
        self._connection = connection
        self._sender = sender

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, None
            return first
        try:
            chunk = await self._connection.read()
        except ExchangeFailed as failure:
            if self._sender is not None:
                self._sender.check()
            raise UpstreamError(Facts(What.BROKE, detail=failure.detail)) from failure
        if chunk:
            return chunk
        if self._connection.trailers:
            self._reply.trailers = forwardable(self._connection.trailers)[0]
        raise StopAsyncIteration


class _Closer:
    """Gives the connection back once; one whose exchange is not complete is closed, or read to its end first.

    With `finish` the attempt's slot is kept from now until the connection is given back.
    """

    __slots__ = ("_closed", "_connection", "_finish", "_free", "_keep", "_pool", "_sender")

    def __init__(
        self,
        upstream: HttpUpstream,
        pool: Pool,
        connection: ClientConnection,
        sender: BodySender | None,
        attempt: Attempt,
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._sender = sender
        self._keep = upstream.reuse
        self._finish = upstream.finish
        self._free = attempt.keep_slot() if upstream.finish is not None else None
        self._closed = False

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._sender is not None:
            self._sender.stop()
        if self._finish is not None and self._connection.unanswered:
            self._finish.take(self._connection, self._give_back)
        else:
            self._give_back()

    def _give_back(self) -> None:
        connection = self._connection
        if not self._keep or not connection.complete:
            connection.close()
        self._pool.release(connection)
        if self._free is not None:
            self._free()


class _Switched:
    """An upstream connection after 101."""

    __slots__ = ("_connection",)

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def splice(self, caller: asyncio.Transport, early: bytes) -> tuple[int, int]:
        transport, leftover = self._connection.detach()
        return await splice(caller, early, transport, leftover)


def _mapped_back(headers: Headers, origin: bytes, call: Call) -> Headers:
    """A `Location` at the upstream's own origin leads the caller back through us, by the name it called us."""
    mapped: Headers = []
    for name, value in headers:
        if name.lower() == b"location" and value.startswith(origin) and value[len(origin) : len(origin) + 1] in _ENDS:
            path = call.stripped + value[len(origin) :]
            here = b"%b://%b" % (b"https" if call.secure else b"http", call.host) if call.host else b""
            mapped.append((name, here + path))
        else:
            mapped.append((name, value))
    return mapped


_ENDS = (b"", b"/", b"?", b"#")
