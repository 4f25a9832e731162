"""The messages of a gRPC call as a body: each piece is one, an empty one too, and `None` is their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.body import Messages, ReplayMemory
from sidecar.errors import BodyTooLarge, CallerLeft
from tests.kit.virtual_loop import run

if TYPE_CHECKING:
    from sidecar.body import Body

pytestmark = pytest.mark.virtual_time

EACH = 64
"""Bytes that a kept message costs beside its own."""


def sending(*messages: bytes) -> Messages:
    """They are all here, and the caller has half-closed behind them."""
    ready: list[bytes | None] = [*messages, None]
    return Messages(lambda: ready.pop(0), length=None)


async def read(subject: Body) -> list[bytes]:
    return [piece async for piece in subject.pieces()]


async def test_an_empty_message_is_a_message_and_not_the_end() -> None:
    subject = sending(b"", b"one", b"", b"two", b"")
    assert [await read(subject), await read(subject)] == [[b"", b"one", b"", b"two", b""]] * 2
    assert (subject.complete, subject.received) == (True, 6)


async def test_a_caller_that_sends_nothing() -> None:
    subject = sending()
    assert await read(subject) == []
    assert subject.complete


async def test_messages_that_are_still_to_come() -> None:
    asked: list[asyncio.Future[bytes | None]] = []

    def pull() -> asyncio.Future[bytes | None]:
        asked.append(asyncio.get_running_loop().create_future())
        return asked[-1]

    subject = Messages(pull, length=None)
    reading = asyncio.create_task(read(subject))
    for piece in (b"", b"one", None):
        await asyncio.sleep(0)
        asked[-1].set_result(piece)
        await asyncio.sleep(0)
    assert await reading == [b"", b"one"]
    assert len(asked) == 3


async def test_the_caller_that_leaves_is_told_to_every_reader() -> None:
    def pull() -> asyncio.Future[bytes | None]:
        left: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        left.cancel()
        return left

    subject = Messages(pull, length=None)
    for _ in range(2):
        with pytest.raises(CallerLeft):
            await read(subject)


async def test_the_longest_allowed_is_asked_of_each_message() -> None:
    subject = sending(b"12345", b"12345", b"12345")
    subject.max_bytes = 5
    assert await read(subject) == [b"12345"] * 3
    subject = sending(b"12345", b"123456")
    subject.max_bytes = 5
    with pytest.raises(BodyTooLarge, match="a message is longer than 5 bytes"):
        await read(subject)


async def test_empty_messages_are_not_free_to_keep() -> None:
    memory = ReplayMemory(10 * EACH)
    left = 1000

    def pull() -> bytes | None:
        nonlocal left
        left -= 1
        return b"" if left >= 0 else None

    subject = Messages(pull, length=None, memory=memory)
    most = 0
    async for _ in subject.pieces():
        most = max(most, memory.used)
    assert most == 10 * EACH
    assert not subject.replayable
    assert memory.used == 0


async def test_a_unary_call_s_one_message_is_whole() -> None:
    subject = Messages.of(b"one")
    assert isinstance(subject, Messages)
    assert (subject.whole, subject.complete, await read(subject)) == (b"one", True, [b"one"])
    assert await read(Messages.of(b"")) == [b""]


@given(messages=st.lists(st.binary(max_size=6), max_size=8), kept=st.integers(0, 6))
def test_they_come_in_order_and_one_by_one_and_again_if_they_fit(messages: list[bytes], kept: int) -> None:
    async def played() -> None:
        memory = ReplayMemory(1 << 20)
        ready: list[bytes | None] = [*messages, None]
        subject = Messages(lambda: ready.pop(0), length=None, memory=memory)
        subject.limit = kept * (EACH + 6)
        assert await read(subject) == messages
        assert subject.replayable or len(messages) > kept
        if subject.replayable:
            assert await read(subject) == messages
        subject.close()
        assert memory.used == 0

    run(played())
