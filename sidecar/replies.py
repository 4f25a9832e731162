"""What engine and upstreams both do with a reply: have its body whole, up to a size, and give back what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.call import Reply


def let_go(reply: Reply) -> None:
    """Give back what the reply holds: once, since its connection may be another call's a moment later."""
    if reply.closer is not None:
        reply.closer.close()
        reply.closer = None


def end(reply: Reply) -> None:
    """The call is over. Chunks know their reply: without them no circle is left that only the collector would find."""
    let_go(reply)
    if reply.chunks is not None:
        reply.chunks = _OVER


async def read_up_to(reply: Reply, most: int) -> bytes | None:
    """The body, `whole` from now on unless trailers stand behind it; None when it is longer than `most` bytes: then it
    stays open behind its beginning.

    A body that has been read holds no connection any more, nor does one that could not be. What its chunks raise
    passes.
    """
    if reply.whole is not None:
        return reply.whole if len(reply.whole) <= most else None
    if reply.chunks is None:  # a status alone, which stays one
        return b""
    read: list[bytes] = []
    size = 0
    chunks = reply.chunks
    try:
        async for chunk in chunks:
            read.append(chunk)
            size += len(chunk)
            if size > most:
                reply.chunks = _behind(read, chunks)
                return None
    except BaseException:
        let_go(reply)
        raise
    let_go(reply)
    whole = b"".join(read)
    if reply.trailers:
        reply.chunks = _behind(read, None)
    else:
        reply.whole, reply.chunks = whole, None
    return whole


async def _behind(read: list[bytes], rest: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    for chunk in read:
        yield chunk
    if rest is not None:
        async for chunk in rest:
            yield chunk


class _Over:
    """The chunks of a reply that is over."""

    def __aiter__(self) -> _Over:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


_OVER = _Over()
