"""A body that must be whole before it can be sent: collected up to a size, and nothing lost when it is longer."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.body import Body, ReplayMemory
from sidecar.errors import BodyTooLarge, RequestTimeout
from tests.kit.virtual_loop import run

pytestmark = pytest.mark.virtual_time


def sending(*pieces: bytes, length: int | None = None, memory: ReplayMemory | None = None, limit: int = 100) -> Body:
    """All of it is here."""
    ready = [*pieces, b""]
    made = Body(lambda: ready.pop(0), length=length, memory=memory)
    made.limit = limit
    return made


async def read(subject: Body) -> bytes:
    return b"".join([piece async for piece in subject.pieces()])


@pytest.mark.parametrize(("most", "given"), [(9, b"all of it"), (8, None)])
async def test_what_is_whole_already(most: int, given: bytes | None) -> None:
    assert await Body.of(b"all of it").collect(most) == given


async def test_a_streamed_body_becomes_whole_and_can_be_sent_again() -> None:
    memory = ReplayMemory(100)
    subject = sending(b"one ", b"two ", b"three", memory=memory)
    assert await subject.collect(13) == b"one two three"
    assert (subject.whole, subject.complete, subject.replayable, memory.used) == (b"one two three", True, True, 0)
    assert [await read(subject), await read(subject)] == [b"one two three"] * 2
    assert await subject.collect(13) == b"one two three"


async def test_one_longer_than_the_replay_buffer_can_be_sent_again_too() -> None:
    subject = sending(b"12345", b"67890", limit=4)
    assert await subject.collect(10) == b"1234567890"
    assert subject.replayable
    assert await read(subject) == b"1234567890"


async def test_a_longer_one_is_none_and_a_later_reader_still_has_all_of_it() -> None:
    subject = sending(b"12345", b"67890")
    assert await subject.collect(9) is None
    assert subject.replayable
    assert await read(subject) == b"1234567890"


async def test_of_a_declared_length_that_is_too_long_nothing_is_read() -> None:
    subject = sending(b"12345", b"67890", length=10)
    assert await subject.collect(9) is None
    assert subject.received == 0
    assert await read(subject) == b"1234567890"


async def test_the_end_of_an_attempt_while_it_is_collected_loses_nothing() -> None:
    asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    ready: list[bytes | asyncio.Future[bytes]] = [b"one ", asked, b""]
    subject = Body(lambda: ready.pop(0), length=None)
    attempt = asyncio.create_task(subject.collect(100))
    await asyncio.sleep(0)
    attempt.cancel()
    await asyncio.wait([attempt])
    asked.set_result(b"two")
    assert await subject.collect(100) == b"one two"


@pytest.mark.parametrize("error", [RequestTimeout("too slow"), BodyTooLarge("too long")])
async def test_what_is_wrong_on_the_caller_s_side_is_raised(error: Exception) -> None:
    failed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    subject = Body(lambda: failed, length=None)
    with pytest.raises(type(error)):
        await subject.collect(100)


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=8), max_size=6), limit=st.integers(0, 40), most=st.integers(0, 40)
)
def test_whole_if_it_fits_and_what_could_be_read_again_before_still_can(
    pieces: list[bytes], limit: int, most: int
) -> None:
    async def played() -> None:
        memory = ReplayMemory(1000)
        whole = b"".join(pieces)
        subject = sending(*pieces, memory=memory, limit=limit)
        collected = await subject.collect(most)
        assert collected == (whole if len(whole) <= most else None)
        if collected is not None or len(whole) <= limit:
            assert subject.replayable
        if subject.replayable:
            assert await read(subject) == whole
        subject.close()
        assert memory.used == 0

    run(played())
