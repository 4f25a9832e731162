"""A reply's body, had whole up to a size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.call import Facts, Reply, What
from sidecar.errors import UpstreamError
from sidecar.replies import end, let_go, read_up_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Counted:
    """What a reply holds."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


async def pieces(*came: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for piece in came:
        yield piece
    if then is not None:
        raise then


def a_reply(chunks: AsyncIterator[bytes] | None = None, whole: bytes | None = None) -> tuple[Reply, Counted]:
    reply = Reply(200, b"", [], Facts(What.REPLY, status=200), {}, whole)
    reply.chunks, reply.closer = chunks, Counted()
    assert isinstance(reply.closer, Counted)
    return reply, reply.closer


async def the_rest(reply: Reply) -> bytes:
    assert reply.chunks is not None
    return b"".join([piece async for piece in reply.chunks])


async def test_a_body_that_has_been_read_holds_nothing() -> None:
    reply, held = a_reply(pieces(b"ab", b"c"))
    assert await read_up_to(reply, 3) == b"abc"
    assert (reply.whole, reply.chunks, held.closed) == (b"abc", None, 1)
    let_go(reply)
    assert held.closed == 1


async def test_a_longer_one_stays_open_behind_its_beginning() -> None:
    reply, held = a_reply(pieces(b"ab", b"cd", b"e"))
    assert await read_up_to(reply, 3) is None
    assert (reply.whole, held.closed) == (None, 0)
    assert await the_rest(reply) == b"abcde"


async def test_one_with_trailers_keeps_them_behind_it() -> None:
    reply, held = a_reply(pieces(b"ab"))
    reply.trailers = [(b"sum", b"1")]
    assert await read_up_to(reply, 3) == b"ab"
    assert (reply.whole, held.closed) == (None, 1)
    assert await the_rest(reply) == b"ab"


async def test_one_that_is_cut_is_given_back() -> None:
    reply, held = a_reply(pieces(b"ab", then=UpstreamError(Facts(What.BROKE))))
    with pytest.raises(UpstreamError):
        await read_up_to(reply, 3)
    assert held.closed == 1


@pytest.mark.parametrize(("whole", "most", "read"), [(b"abc", 3, b"abc"), (b"abc", 2, None), (None, 2, b"")])
async def test_one_that_is_here_is_only_measured(whole: bytes | None, most: int, read: bytes | None) -> None:
    reply, _ = a_reply(whole=whole)
    assert await read_up_to(reply, most) == read
    assert reply.whole == whole, "a status alone stays one"


async def test_of_a_reply_whose_call_is_over_nothing_is_held_and_nothing_comes() -> None:
    reply, held = a_reply(pieces(b"a", b"b"))
    end(reply)
    assert (held.closed, await the_rest(reply)) == (1, b"")


def test_a_status_alone_stays_one_when_its_call_is_over() -> None:
    reply, _ = a_reply()
    end(reply)
    assert reply.chunks is None
