"""A request body that several attempts may read, on a loop whose every turn is known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.body import Body, ReplayMemory, Superseded
from sidecar.errors import BodyTooLarge, CallerLeft, RequestTimeout
from tests.kit.virtual_loop import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.virtual_time


class Sender:
    """The caller's side: pieces that are here already, and a future for what is to come."""

    def __init__(self, *ready: bytes) -> None:
        self.ready = list(ready)
        self.asked: asyncio.Future[bytes] | None = None

    def pull(self) -> bytes | asyncio.Future[bytes]:
        if self.ready:
            return self.ready.pop(0)
        assert self.asked is None or self.asked.done(), "it is not asked again before the last piece has come"
        self.asked = asyncio.get_running_loop().create_future()
        return self.asked

    def sends(self, piece: bytes) -> None:
        assert self.asked is not None, "nobody waits for it"
        self.asked.set_result(piece)

    def fails(self, error: BaseException) -> None:
        assert self.asked is not None, "nobody waits for it"
        self.asked.set_exception(error)


def body(sender: Sender, *, limit: int = 100, memory: ReplayMemory | None = None, max_bytes: int = 0) -> Body:
    made = Body(sender.pull, length=None, memory=memory)
    made.limit = limit
    made.max_bytes = max_bytes
    return made


async def read(subject: Body) -> bytes:
    return b"".join([piece async for piece in subject.pieces()])


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_whole_body_can_be_read_as_often_as_asked() -> None:
    subject = Body.of(b"all of it")
    assert (subject.length, subject.received, subject.complete, subject.replayable) == (9, 9, True, True)
    assert [await read(subject), await read(subject)] == [b"all of it"] * 2
    subject.close()
    assert await read(subject) == b"all of it"


async def test_a_whole_body_may_be_empty() -> None:
    assert [piece async for piece in Body.of(b"").pieces()] == []


async def test_a_streamed_body_is_read_again_from_its_start() -> None:
    sender = Sender(b"one ", b"two ", b"three", b"")
    subject = body(sender)
    assert subject.received == 0
    assert await read(subject) == b"one two three"
    assert subject.complete
    assert subject.received == 13
    assert await read(subject) == b"one two three"


async def shared(sender: Sender) -> AsyncIterator[bytes]:
    """The obvious body, which attempts would share: the trap."""
    while True:
        piece = sender.pull()
        if not isinstance(piece, bytes):
            piece = await piece
        if not piece:
            return
        yield piece


async def rest(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_a_shared_generator_truncates_what_is_sent_again_and_says_nothing() -> None:
    sender = Sender(b"one ")
    pieces = shared(sender)
    assert await anext(pieces) == b"one "
    attempt = asyncio.create_task(rest(pieces))
    await turn()
    attempt.cancel()
    await turn()
    sender.ready = [b"two", b""]
    assert await rest(pieces) == b"", "its generator is over: an upstream would take this for the end"


async def test_a_body_survives_the_attempt_that_is_cancelled_while_it_waits() -> None:
    sender = Sender(b"one ")
    subject = body(sender)
    attempt = asyncio.create_task(read(subject))
    await turn()
    attempt.cancel()
    await turn()
    again = asyncio.create_task(read(subject))
    await turn()
    sender.ready = [b""]
    sender.sends(b"two")
    assert await again == b"one two"
    assert attempt.cancelled()


async def test_an_earlier_reader_takes_nothing_from_a_later_one() -> None:
    sender = Sender(b"one ")
    subject = body(sender, limit=4)
    earlier = asyncio.create_task(read(subject))
    await turn()
    later = asyncio.create_task(read(subject))
    await turn()
    sender.ready = [b"three", b""]
    sender.sends(b"two ")
    assert await later == b"one two three"
    with pytest.raises(Superseded):
        await earlier


async def test_what_comes_while_nobody_reads_is_not_lost() -> None:
    sender = Sender()
    subject = body(sender)
    attempt = asyncio.create_task(read(subject))
    await turn()
    attempt.cancel()
    await turn()
    sender.ready = [b"two", b""]
    sender.sends(b"one ")
    await turn()
    assert await read(subject) == b"one two"


async def test_a_reader_that_comes_between_a_piece_and_its_callback_does_not_spin() -> None:
    sender = Sender()
    subject = body(sender)
    attempt = asyncio.create_task(read(subject))
    await turn()
    attempt.cancel()
    await turn()
    sender.ready = [b""]
    sender.sends(b"here")  # its callbacks run in the loop's next turn
    assert await read(subject) == b"here"


async def test_a_failure_that_was_there_before_it_was_asked_for_is_told() -> None:
    def pull() -> asyncio.Future[bytes]:
        failed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        failed.set_exception(RequestTimeout("the body is too slow"))
        return failed

    with pytest.raises(RequestTimeout):
        await read(Body(pull, length=None))


async def test_a_failure_of_the_caller_s_side_is_told_to_every_reader() -> None:
    sender = Sender(b"one")
    subject = body(sender)
    attempt = asyncio.create_task(read(subject))
    await turn()
    sender.fails(RequestTimeout("the body is too slow"))
    with pytest.raises(RequestTimeout):
        await attempt
    with pytest.raises(RequestTimeout):
        await read(subject)


async def test_a_pull_that_is_cancelled_means_that_the_caller_left() -> None:
    sender = Sender()
    subject = body(sender)
    attempt = asyncio.create_task(read(subject))
    await turn()
    assert sender.asked is not None
    sender.asked.cancel()
    with pytest.raises(CallerLeft):
        await read(subject)
    attempt.cancel()
    await turn()


async def test_a_body_longer_than_the_replay_buffer_streams_on_and_cannot_be_sent_again() -> None:
    sender = Sender(b"12345", b"67890", b"x", b"")
    subject = body(sender, limit=10)
    assert await read(subject) == b"1234567890x"
    assert not subject.replayable
    with pytest.raises(RuntimeError, match="cannot be read again"):
        await read(subject)


async def test_until_the_piece_too_many_has_been_passed_on_it_can_still_be_sent_again() -> None:
    sender = Sender(b"12345")
    subject = body(sender, limit=5)
    attempt = asyncio.create_task(read(subject))
    await turn()
    attempt.cancel()
    await turn()
    sender.sends(b"67890")
    await turn()
    assert subject.replayable, "nobody has read the piece that does not fit"
    sender.ready = [b"x", b""]
    assert await read(subject) == b"1234567890x"
    assert not subject.replayable


async def test_a_long_body_is_not_held_while_it_streams() -> None:
    sender = Sender(*[b"x" * 10] * 50, b"")
    memory = ReplayMemory(1000)
    subject = body(sender, limit=100, memory=memory)
    most = 0
    async for _ in subject.pieces():
        most = max(most, memory.used)
    assert most == 100
    assert memory.used == 0


async def test_replay_memory_is_shared_by_all_calls_and_given_back_to_the_byte() -> None:
    memory = ReplayMemory(10)
    first = body(Sender(b"1234567", b""), memory=memory)
    assert await read(first) == b"1234567"
    second = body(Sender(b"1234", b""), memory=memory)
    assert await read(second) == b"1234", "it streams without replay"
    assert (first.replayable, second.replayable, memory.used) == (True, False, 7)
    first.close()
    second.close()
    second.close()
    assert memory.used == 0
    assert not first.replayable


async def test_a_body_that_is_too_long_ends_with_the_refusal_and_holds_nothing() -> None:
    memory = ReplayMemory(100)
    subject = body(Sender(b"12345", b"67890", b""), max_bytes=9, memory=memory)
    with pytest.raises(BodyTooLarge, match="longer than 9 bytes"):
        await read(subject)
    subject.close()
    assert memory.used == 0


async def test_what_comes_after_the_call_is_over_is_not_accounted_for() -> None:
    sender = Sender()
    memory = ReplayMemory(100)
    subject = body(sender, memory=memory)
    attempt = asyncio.create_task(read(subject))
    await turn()
    attempt.cancel()
    await turn()
    subject.close()
    sender.sends(b"late")
    await turn()
    assert memory.used == 0


async def test_trailers_are_those_of_the_caller() -> None:
    trailers = [(b"Checksum", b"1")]
    assert Body(Sender(b"").pull, length=None, trailers=trailers).trailers is trailers
    assert list(Body(Sender(b"").pull, length=None).trailers) == []


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=8), max_size=8),
    limit=st.integers(0, 40),
    total=st.integers(0, 40),
    cancel_at=st.integers(0, 8),
)
def test_however_it_is_cut_short_the_next_reader_gets_all_of_it_or_is_told(
    pieces: list[bytes], limit: int, total: int, cancel_at: int
) -> None:
    async def played() -> None:
        memory = ReplayMemory(total)
        whole = b"".join(pieces)
        subject = body(Sender(*pieces, b""), limit=limit, memory=memory)
        first = subject.pieces()
        for _ in range(min(cancel_at, len(pieces))):
            await anext(first)
        await first.aclose()
        if subject.replayable:
            assert await read(subject) == whole
        assert memory.used <= total
        subject.close()
        assert memory.used == 0

    run(played())
