from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.policy.concurrency import Concurrency
from sidecar.settings import ConcurrencySettings
from tests.kit.virtual_loop import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable


def limit(most: int, queue: int = 0) -> Concurrency:
    return Concurrency(ConcurrencySettings(max=most, queue=queue))


def enqueued(concurrency: Concurrency) -> asyncio.Future[None]:
    turn = concurrency.enqueue()
    assert turn is not None
    return turn


def test_slots_are_taken_until_none_is_free() -> None:
    slots = limit(2)
    assert [slots.try_enter() for _ in range(3)] == [True, True, False]
    assert slots.inflight == 2
    slots.leave()
    assert slots.inflight == 1
    assert slots.try_enter()


async def test_without_a_queue_nobody_waits() -> None:
    slots = limit(1)
    slots.try_enter()
    assert slots.enqueue() is None


async def test_a_full_queue_takes_nobody() -> None:
    slots = limit(1, queue=2)
    slots.try_enter()
    enqueued(slots)
    enqueued(slots)
    assert slots.enqueue() is None
    assert slots.waiting == 2


async def test_a_slot_goes_to_the_first_in_the_queue() -> None:
    slots = limit(1, queue=2)
    slots.try_enter()
    first, second = enqueued(slots), enqueued(slots)
    slots.leave()
    assert (first.done(), second.done()) == (True, False)
    assert not slots.try_enter(), "a newcomer does not overtake"
    slots.leave()
    assert second.done()
    slots.leave()
    assert (slots.inflight, slots.waiting) == (0, 0)


async def test_who_gives_up_frees_a_place_in_the_queue() -> None:
    slots = limit(1, queue=1)
    slots.try_enter()
    slots.cancel(enqueued(slots))
    assert slots.waiting == 0
    assert slots.enqueue() is not None


async def test_woken_and_cancelled_at_once_passes_the_slot_on() -> None:
    slots = limit(1, queue=2)
    slots.try_enter()
    first, second = enqueued(slots), enqueued(slots)
    slots.leave()
    slots.cancel(first)
    assert second.done()
    slots.cancel(second)
    assert slots.inflight == 0


async def test_a_cancelled_waiter_is_passed_over() -> None:
    slots = limit(1, queue=2)
    slots.try_enter()
    first, second = enqueued(slots), enqueued(slots)
    first.cancel()  # by its task; `cancel` comes when that task runs
    slots.leave()
    slots.cancel(first)
    assert second.done()
    assert (slots.inflight, slots.waiting) == (1, 0)


async def test_a_task_cancelled_in_the_same_turn_as_it_is_woken_leaves_no_slot_behind() -> None:
    slots = limit(1, queue=1)
    slots.try_enter()

    async def call() -> None:
        turn = enqueued(slots)
        try:
            await turn
        except asyncio.CancelledError:
            slots.cancel(turn)
            raise
        slots.leave()

    task = asyncio.ensure_future(call())
    await asyncio.sleep(0)
    slots.leave()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (slots.inflight, slots.waiting) == (0, 0)


class Traffic(RuleBasedStateMachine):
    """Calls come, wait, give up and leave in any order, and the limit becomes another."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.most, self.longest = 3, 4
        self.slots = limit(self.most, self.longest)
        self.inside = 0
        self.queue: list[asyncio.Future[None]] = []

    def teardown(self) -> None:
        self.loop.close()

    def on_loop(self, act: Callable[[], None]) -> None:
        async def run() -> None:
            act()

        self.loop.run_until_complete(run())

    @rule()
    def arrive(self) -> None:
        def act() -> None:
            if self.slots.try_enter():
                assert not self.waiting, "overtaken"
                self.inside += 1
                return
            assert self.inside + self.woken >= self.most
            turn = self.slots.enqueue()
            assert (turn is None) == (len(self.waiting) >= self.longest)
            if turn is not None:
                self.queue.append(turn)

        self.on_loop(act)

    @precondition(lambda self: self.inside)
    @rule()
    def leave(self) -> None:
        first = next(iter(self.waiting), None)
        room = self.inside + self.woken <= self.most
        self.inside -= 1
        self.slots.leave()
        assert first is None or first.done() is room

    @rule(most=st.integers(1, 6), longest=st.integers(0, 6))
    def become(self, most: int, longest: int) -> None:
        self.most, self.longest = most, longest
        self.on_loop(lambda: self.slots.become(ConcurrencySettings(max=most, queue=longest)))

    @precondition(lambda self: self.woken)
    @rule()
    def wake(self) -> None:
        turn = next(turn for turn in self.queue if turn.done())
        self.queue.remove(turn)
        self.inside += 1

    @precondition(lambda self: self.queue)
    @rule(which=st.integers(0, 10))
    def give_up(self, which: int) -> None:
        turn = self.queue.pop(which % len(self.queue))
        self.on_loop(lambda: self.slots.cancel(turn))

    @property
    def waiting(self) -> list[asyncio.Future[None]]:
        return [turn for turn in self.queue if not turn.done()]

    @property
    def woken(self) -> int:
        return sum(turn.done() for turn in self.queue)

    @invariant()
    def every_slot_is_somebodys(self) -> None:
        assert self.slots.inflight == self.inside + self.woken
        assert self.slots.waiting == len(self.waiting)

    @invariant()
    def nobody_waits_while_a_slot_is_free(self) -> None:
        assert not self.waiting or self.slots.inflight >= self.most


TestTraffic = Traffic.TestCase
TestTraffic.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
