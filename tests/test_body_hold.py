"""A body that is held until its call is over, and counted in the memory of all calls."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.body import Body, ReplayMemory
from sidecar.errors import BodyTooLarge, CallerLeft, Overloaded
from tests.kit.virtual_loop import run

pytestmark = pytest.mark.virtual_time


def sending(*pieces: bytes, length: int | None = None, memory: ReplayMemory | None = None) -> Body:
    """All of it is here. Its route keeps 4 bytes."""
    ready = [*pieces, b""]
    made = Body(lambda: ready.pop(0), length=length, memory=memory)
    made.limit = 4
    return made


async def read(subject: Body) -> bytes:
    return b"".join([piece async for piece in subject.pieces()])


async def test_it_is_whole_can_be_sent_again_and_takes_memory_until_the_end() -> None:
    memory = ReplayMemory(100)
    subject = sending(b"one ", b"two ", b"three", memory=memory)
    assert await subject.hold(13) == b"one two three"
    assert (subject.whole, subject.complete, subject.replayable) == (b"one two three", True, True)
    assert [await read(subject), await read(subject)] == [b"one two three"] * 2
    assert memory.used == 13
    subject.close()
    assert memory.used == 0


@pytest.mark.parametrize("held", [True, False])
async def test_one_that_nobody_will_read_again_takes_none(held: bool) -> None:
    memory = ReplayMemory(100)
    subject = sending(b"one ", memory=memory) if held else Body.of(b"one ")
    await subject.hold(13)
    subject.forget()
    assert (subject.whole, subject.complete, subject.replayable, memory.used) == (None, True, False, 0)
    with pytest.raises(RuntimeError):
        await read(subject)
    subject.close()
    assert memory.used == 0


async def test_what_is_whole_already() -> None:
    subject = Body.of(b"all of it")
    assert await subject.hold(9) == b"all of it"
    with pytest.raises(BodyTooLarge, match="longer than 8 bytes"):
        await subject.hold(8)
    assert await sending().hold(0) == b""


async def test_what_is_declared_too_long_is_not_even_read() -> None:
    subject = sending(b"never", length=14)
    with pytest.raises(BodyTooLarge):
        await subject.hold(13)
    assert subject.received == 0


async def test_what_turns_out_too_long_gives_its_memory_back() -> None:
    memory = ReplayMemory(100)
    subject = sending(b"one ", b"two ", b"three", memory=memory)
    with pytest.raises(BodyTooLarge):
        await subject.hold(12)
    subject.close()
    assert memory.used == 0


async def test_the_routes_own_limit_comes_first() -> None:
    subject = sending(b"one ", b"two ")
    subject.max_bytes = 5
    with pytest.raises(BodyTooLarge, match="longer than 5 bytes"):
        await subject.hold(100)


async def test_without_memory_we_are_the_busy_ones() -> None:
    memory = ReplayMemory(10)
    first = sending(b"0123456", memory=memory)
    await first.hold(100)
    second = sending(b"01", b"23", memory=memory)
    with pytest.raises(Overloaded) as caught:
        await second.hold(100)
    assert (caught.value.retry_after, memory.used) == (1.0, 7)
    second.close()
    first.close()
    assert memory.used == 0


async def test_a_caller_that_leaves_and_one_that_is_taken_away() -> None:
    memory = ReplayMemory(100)
    loop = asyncio.get_running_loop()
    coming: list[asyncio.Future[bytes]] = [loop.create_future(), loop.create_future()]
    coming[0].set_result(b"one")
    ready = list(coming)
    subject = Body(lambda: ready.pop(0), length=None, memory=memory)
    holding = loop.create_task(subject.hold(100))
    await asyncio.sleep(1)
    holding.cancel()
    await asyncio.wait([holding])
    assert (holding.cancelled(), memory.used) == (True, 3)
    coming[1].set_exception(CallerLeft())
    with pytest.raises(CallerLeft):
        await subject.hold(100)
    subject.close()
    assert memory.used == 0


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=6), st.integers(0, 20), st.integers(0, 30))
def test_it_is_all_there_or_refused_and_no_memory_is_lost(pieces: list[bytes], most: int, total: int) -> None:
    memory = ReplayMemory(total)
    whole = b"".join(pieces)

    async def hold() -> bytes | None:
        subject = sending(*pieces, memory=memory)
        try:
            return await subject.hold(most)
        except (BodyTooLarge, Overloaded):
            return None
        finally:
            subject.close()

    assert run(hold()) == (whole if len(whole) <= min(most, total) else None)
    assert memory.used == 0
