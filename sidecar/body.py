"""A request body that several attempts may read.

The trap this file exists for: an async generator shared by attempts silently
truncates a retried request, because cancelling attempt 1 while it waits for the
next piece throws `CancelledError` into the generator and ends it. So one owner
pulls, the pending piece is one future, and attempts wait on it shielded.

What has been pulled is kept up to `limit` bytes, so that a later attempt can
start over. Once it is longer than that, the attempt that reads it drops what it
has passed on, and `replayable` turns false.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from sidecar.errors import BodyTooLarge, CallerLeft, Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from sidecar.call import Header


Piece = bytes | None
"""What came of a body: some of it, or its end (`b""`; for messages, which may be empty, None)."""


class ReplayMemory:
    """Bytes of request bodies kept over all calls, at most `total`."""

    __slots__ = ("total", "used")

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0

    def take(self, size: int) -> bool:
        """Account for `size` more bytes; False (and nothing taken) when they do not fit."""
        if self.used + size > self.total:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """The bytes are no longer kept."""
        self.used -= size


class Superseded(Exception):  # noqa: N818  nothing has gone wrong: the body belongs to a later reader now
    """A later attempt reads the body from its start; this reader gets no more of it."""


class Body:
    """A request body, whole or still coming.

    `pull` gives the next piece, at once or as a future (`b""` at the end); it is not
    asked again before that future is done. `length` is the declared length in bytes,
    None when the body is chunked. `limit` (bytes to keep) and `max_bytes` (longest
    body allowed, 0 for any) are the route's; they are set before the first read.
    """

    whole: bytes | None = None
    limit = 1 << 20
    max_bytes = 0
    received = 0
    trailers: Sequence[Header] = ()
    _memory: ReplayMemory | None = None
    _kept_size = 0
    _overflowed = False
    _trimmed = False
    complete = False
    """All of it has been read from the caller."""
    _pending: asyncio.Future[bytes] | asyncio.Future[bytes | None] | None = None
    _reading = 0
    """How many have begun to read: the last one's number."""
    _error: BaseException | None = None
    _may_be_empty = False
    _overhead = 0
    _kind = "the body"

    def __init__(
        self,
        pull: Callable[[], Piece | asyncio.Future[bytes] | asyncio.Future[bytes | None]],
        *,
        length: int | None,
        memory: ReplayMemory | None = None,
        trailers: Sequence[Header] = (),
    ) -> None:
        self._pull = pull
        self._memory = memory
        self._kept: list[bytes] = []
        self.length = length
        self.trailers = trailers

    @classmethod
    def of(cls, whole: bytes) -> Self:
        """A body that is all here; it can always be sent again and costs nothing."""
        body = cls.__new__(cls)
        body.whole = whole
        body.length = body.received = len(whole)
        body.complete = True
        return body

    @property
    def replayable(self) -> bool:
        """It can still be read from its start."""
        return not self._trimmed

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The pieces from the start, as often as asked while `replayable`.

        Raises what the caller's side raised (`BodyTooLarge`, `RequestTimeout`,
        `InvalidRequest`, `CallerLeft`), to this reader and every later one. One reads at a
        time: an earlier reader gets `Superseded`, since it would drop what the later one needs.
        """
        if self.whole is not None:
            if self.whole or self._may_be_empty:
                yield self.whole
            return
        if self._trimmed:
            raise RuntimeError("the body was streamed on and cannot be read again")
        self._reading = mine = self._reading + 1
        at = 0
        while True:
            if mine != self._reading:
                raise Superseded
            if at < len(self._kept):
                piece = self._kept[at]
                if self._overflowed:
                    del self._kept[: at + 1]
                    at = 0
                    self._trimmed = True
                    self._release()
                else:
                    at += 1
                yield piece
            elif self._error is not None:
                raise self._error
            elif self.complete:
                return
            else:
                await self._more()

    async def collect(self, most: int) -> bytes | None:
        """The whole body, from then on kept as such and always replayable; None when it is longer than `most` bytes.

        Of a longer one nothing is lost that a later reader could have had.
        """
        if self.whole is not None:
            return self.whole if len(self.whole) <= most else None
        if self.length is not None and self.length > most:
            return None
        parts: list[bytes] = []
        size = 0
        async with contextlib.aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                size += len(piece)
                if size > most:
                    return None
                parts.append(piece)
        self._release()
        self._kept.clear()
        self._trimmed = self._overflowed = False
        self.whole = b"".join(parts)
        return self.whole

    async def hold(self, most: int) -> bytes:
        """The whole body, kept until `close` and counted in the replay memory.

        Raises `BodyTooLarge` for one of more than `most` bytes, `Overloaded` when the memory over all calls is used up.
        """
        too_large = BodyTooLarge(f"{self._kind} must be held whole and is longer than {most} bytes")
        if self.whole is not None:
            if len(self.whole) > most:
                raise too_large
            return self.whole
        if self.length is not None and self.length > most:
            raise too_large
        self.limit = most
        async with contextlib.aclosing(self.pieces()) as pieces:
            async for _ in pieces:
                if self.received > most:
                    raise too_large
                if self._overflowed:
                    raise Overloaded("the memory for request bodies is used up", retry_after=1.0)
        self.whole = b"".join(self._kept)
        self._kept.clear()
        return self.whole

    async def _more(self) -> None:
        if self._pending is None:
            piece = self._pull()
            if piece is None or isinstance(piece, bytes):
                self._take(piece)
                return
            self._pending = piece
            # Before any reader's own callback: the reader that asked may be gone by then.
            piece.add_done_callback(self._arrived)
        if self._pending.done():  # awaiting it would not yield, and its callback could never run
            self._arrived(self._pending)
            return
        with contextlib.suppress(Exception):  # told by `_error`, to every reader alike
            await asyncio.shield(self._pending)

    def _arrived(self, pending: asyncio.Future[bytes] | asyncio.Future[bytes | None]) -> None:
        if pending is not self._pending:  # a reader was faster than the callback
            return
        self._pending = None
        if pending.cancelled():
            self._error = CallerLeft()
        elif (error := pending.exception()) is not None:
            self._error = error
        else:
            self._take(pending.result())

    def _take(self, piece: bytes | None) -> None:
        if not piece and (piece is None or not self._may_be_empty):
            self.complete = True
            return
        self.received += len(piece)
        if self.max_bytes and self._measure(piece) > self.max_bytes:
            self._error = BodyTooLarge(f"{self._kind} is longer than {self.max_bytes} bytes")
            return
        self._kept.append(piece)
        if self._overflowed:
            return
        size = len(piece) + self._overhead
        fits = self._kept_size + size <= self.limit
        if fits and (self._memory is None or self._memory.take(size)):
            self._kept_size += size
        else:
            self._overflowed = True

    def _measure(self, _piece: bytes) -> int:
        """What `max_bytes` is held against."""
        return self.received

    def _release(self) -> None:
        if self._memory is not None:
            self._memory.give_back(self._kept_size)
        self._kept_size = 0

    def forget(self) -> None:
        """Of a whole body: nobody will read it again, though its call goes on."""
        self._release()
        self.whole, self._kept, self._trimmed = None, [], True

    def close(self) -> None:
        """The call is over: nothing is kept any more."""
        self._release()
        if self.whole is not None:
            return
        self._kept.clear()
        self._trimmed = self._overflowed = True


class Messages(Body):
    """The request messages of a gRPC call: pieces are messages, one of which may be empty; `pull` ends with None.

    `max_bytes` is held against each message. An empty message is not free to keep.
    """

    _may_be_empty = True
    _overhead = 64
    """Bytes that a kept message costs beside its own, about."""
    _kind = "a message"

    def _measure(self, piece: bytes) -> int:
        return len(piece)
