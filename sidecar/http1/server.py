"""A caller's connection: requests in order, one task, one timer.

What holds:

- One task serves the requests one after another. It is woken by a future only
  when it has nothing to do; pipelined requests are taken from the queue.
- While a request is answered, what the caller sends on is kept unparsed, up to
  a mark; reading goes on, because that is how a caller who leaves is noticed.
  That cancels the task at once: an upstream call that nobody waits for costs money.
- One timer for the connection looks at what it waits for when it fires. Nothing is
  armed or cancelled per request.
- What cannot be served is answered after the requests before it, and the
  connection ends. One bad connection cannot touch another (rule 15).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from sidecar.errors import CallerLeft, InternalError, Refused, RequestTimeout
from sidecar.http1.intake import Intake, ServerLimits
from sidecar.http1.reply_framing import DateLine
from sidecar.http1.request import DRAINABLE, MARK
from sidecar.http1.sockets import address, reset_on_close
from sidecar.http1.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.http1.connections import Connections
    from sidecar.http1.request import Request

__all__ = ["LINGER", "ServerConnection", "ServerLimits"]

LINGER = 2.0
"""Seconds in which a caller may read the last reply while it still sends (RFC 9112, section 9.6)."""


class ServerConnection(asyncio.Protocol):
    """`serve` answers each request; a `Refused` that leaves it is answered by `refuse`.

    `refuse` renders the whole answer (it says `Connection: close`) to what was not
    served, with the request if its head was complete. Any other exception of `serve`
    is told to `crashed`, and this connection ends.
    """

    __slots__ = (
        "_crashed", "_deaf", "_detached", "_failure", "_intake", "_left", "_left_unsent", "_limits", "_reading_paused",
        "_refuse", "_serve", "_serving", "_task", "_waiter", "_watch", "_writable", "closing", "date", "local", "loop",
        "peer", "registry", "secure", "transport", "writing_paused",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(
        self,
        serve: Callable[[Request], Awaitable[None]],
        limits: ServerLimits,
        refuse: Callable[[Refused, Request | None], bytes],
        registry: Connections,
        secure: bool = False,
        *,
        crashed: Callable[[BaseException], None],
        date: DateLine | None = None,
    ) -> None:
        self._serve = serve
        self._limits = limits
        self._refuse = refuse
        self._crashed = crashed
        self.registry = registry
        self.secure = secure
        self.date = date if date is not None else _DATE
        self.loop = asyncio.get_running_loop()
        self.peer = self.local = ""
        self._intake = Intake(self, limits)
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._serving: Request | None = None
        self._failure: tuple[Refused, Request | None] | None = None
        self._left_unsent = 0
        self._watch = Watch(self.loop, self._patience, self._out_of_patience)
        self._deaf = False
        """What the caller sends is not looked at any more."""
        self.closing = False
        """Nothing more can be said to the caller."""
        self._left = False
        self._detached = False
        self._reading_paused = False
        self.writing_paused = False

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.peer = address(transport.get_extra_info("peername")) or "unix"
        self.local = address(transport.get_extra_info("sockname"))
        self.registry.add(self)
        self._watch.begin()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        intake = self._intake
        if intake.receiving is None and (self._serving is not None or intake.waiting):
            intake.keep(data)
            if intake.kept > MARK:
                self.body_waits()
        else:
            self._take(data)

    def eof_received(self) -> None:
        """The transport closes itself after this, with what was written."""
        self._leave()
        self._watch.begin()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        self._leave()
        self._watch.stop()
        writable = self._writable
        if writable is not None and not writable.done():
            writable.set_exception(CallerLeft())
            writable.exception()  # the task is cancelled and may never look
        self._intake.forget()
        self.registry.discard(self)

    def pause_writing(self) -> None:
        self.writing_paused = True

    def resume_writing(self) -> None:
        self.writing_paused = False
        writable = self._writable
        if writable is not None and not writable.done():
            writable.set_result(None)

    # What a request calls.

    async def writable(self) -> None:
        if self.closing:
            raise CallerLeft
        if self.writing_paused:
            self._writable = self.loop.create_future()
            await self._writable

    def body_waits(self) -> None:
        """So much of a body is unread that the caller has to wait."""
        if not self._reading_paused and not self.closing:
            self._reading_paused = True
            self.transport.pause_reading()

    def body_taken(self) -> None:
        if self._reading_paused and not self.closing:
            self._resume()
            self._watch.begin()

    def body_wanted(self) -> None:
        if not self._deaf:
            self._watch.begin()

    def cut(self, *, reset: bool) -> None:
        """End without a proper end of the reply; with `reset` the caller's socket sees an error."""
        if self.closing:
            return
        if reset:
            reset_on_close(self.transport)
        if reset and self.secure:
            self.abort()  # a TLS close would say that all is well
        else:
            self._end(linger=False)

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        early = self._intake.release()
        self._deaf = self._detached = True
        self._watch.stop()
        self._resume()
        return self.transport, early

    # What the registry calls.

    @property
    def idle(self) -> bool:
        intake = self._intake
        busy = self._serving or intake.waiting or intake.receiving or intake.in_head
        return not busy and not self.closing

    def close_when_idle(self) -> None:
        if self.idle:
            self._end(linger=False)

    def abort(self) -> asyncio.Task[None] | None:
        self.closing = self._deaf = True
        self.transport.abort()
        return self._task

    # Reading.

    def _take(self, data: bytes) -> None:
        intake = self._intake
        new_head = not intake.in_head
        try:
            intake.take(data)
        except Refused as refused:
            self._fail(refused)
            return
        except Exception as error:  # noqa: BLE001 - a bug of ours ends this connection only
            self._crashed(error)
            self._fail(InternalError())
            return
        if intake.kept > MARK:
            self.body_waits()
        if intake.waiting:
            self._wake()
        receiving = intake.receiving
        if receiving is not None:
            if receiving.dropped > DRAINABLE:
                self._end(linger=True)
            else:
                self._watch.begin()
        elif intake.ended:
            self._deaf = True
        elif intake.in_head and new_head and self._serving is None and not intake.waiting:
            self._watch.begin()

    def _resume(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        elif self._task is None:
            self._task = self.loop.create_task(self._run())

    def _fail(self, refused: Refused) -> None:
        """What the caller sends cannot be served from here on."""
        self._deaf = True
        intake = self._intake
        request = intake.receiving
        if request is not None:
            if request.finished:
                self._end(linger=True)
                return
            request.fail(refused)
            if request is self._serving:
                return  # whoever serves it answers, and the connection ends with that
            intake.waiting.remove(request)
            intake.receiving = None
        self._failure = (refused, request)
        if intake.waiting:
            self._wake()
        elif self._serving is None:
            self._reject(refused, request)

    def _reject(self, refused: Refused, request: Request | None) -> None:
        if not self.closing:
            self.transport.write(self._refuse(refused, request))
            self._end(linger=True)

    # Serving.

    async def _run(self) -> None:
        intake = self._intake
        waiting = intake.waiting
        try:
            while True:
                while not waiting:
                    if intake.kept:
                        self._take(intake.release())
                        if intake.kept <= MARK and not self._deaf:
                            self._resume()
                    elif self._failure is not None:
                        self._reject(*self._failure)
                    if self.closing:
                        return
                    if not waiting:
                        self._watch.begin()
                        self._waiter = self.loop.create_future()
                        await self._waiter
                self._serving = request = waiting.popleft()
                request.settle()
                try:
                    await self._serve(request)
                except Exception as error:  # noqa: BLE001 - the edge: nothing may pass it
                    self._crash(request, error)
                    return
                if not self._goes_on(request):
                    return
                if self.writing_paused:
                    await self.writable()
                self._serving = None
        except CallerLeft:
            pass
        finally:
            self._serving = None
            if self._detached:
                self.registry.discard(self)
                self.transport.close()
            elif not self.closing:
                self.abort()

    def _goes_on(self, request: Request) -> bool:
        """The request has been served: may another one follow?"""
        if self.closing or self._detached:
            return False
        if not request.finished:
            self._crash(request, request.error or RuntimeError("a request was served without a reply"))
            return False
        if request.close_after or not request.keep_alive or self.registry.draining:
            self._end(linger=not request.complete)
            return False
        if not request.complete:
            if request.error is not None or (request.length is not None and not request.drainable):
                self._end(linger=True)
                return False
            request.discard()
            self._resume()
        return True

    def _crash(self, request: Request, error: Exception) -> None:
        if isinstance(error, CallerLeft):
            return
        if not isinstance(error, Refused):
            self._crashed(error)
            error = InternalError()
        if self.closing or self._detached:
            return
        if not request.answered:
            self._reject(error, request)
        elif not request.finished:
            request.abort()
        else:
            self._end(linger=not request.complete)

    def _leave(self) -> None:
        """The caller is gone. Said once: a second cancellation would disturb the cleaning up after the first."""
        if self._left:
            return
        self._left = self._deaf = self.closing = True
        intake = self._intake
        if intake.receiving is not None:
            intake.receiving.fail(CallerLeft())
        intake.waiting.clear()
        intake.release()
        if self._task is not None and not (self._serving is not None and self._serving.finished):
            self._task.cancel()  # with its reply complete a call ends by itself, and was answered

    def _end(self, *, linger: bool) -> None:
        """Close when all is written; with `linger` the caller may still be sending, and must not get a reset for it."""
        if self.closing:
            return
        self.closing = self._deaf = True
        self._intake.release()
        if linger:
            self._resume()
            if self.transport.can_write_eof():
                self.transport.write_eof()
        else:
            self.transport.close()
        self._watch.begin()

    # Time.

    def _patience(self) -> float:
        """How long the caller may leave us waiting now (seconds), 0 for ever."""
        limits = self._limits
        intake = self._intake
        if self.closing:
            return LINGER
        if intake.receiving is not None:
            # A caller that waits for `100 Continue`, or for us to read on, is not silent.
            if self._deaf or self._reading_paused or intake.receiving.expects_continue:
                return 0.0
            return limits.body_timeout
        if self._serving is not None or intake.waiting:
            return 0.0
        return limits.header_timeout if intake.in_head else limits.keepalive

    def _out_of_patience(self) -> None:
        intake = self._intake
        if self.closing:
            left = self.transport.get_write_buffer_size()
            if left and left != self._left_unsent:  # a last reply is still being taken
                self._left_unsent = left
                self._watch.begin()
            else:
                self.transport.abort()
        elif intake.receiving is not None:
            self._fail(RequestTimeout("the request body has stopped coming"))
        elif intake.in_head:
            self._fail(RequestTimeout("the request head took too long"))
        else:
            self._end(linger=False)


_DATE = DateLine()
