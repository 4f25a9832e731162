"""The wheel is an economy that nobody notices: a timer fires at its exact moment, or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.call import NO_DEADLINE
from sidecar.engine.timer import Timer, Wheel
from tests.kit.virtual_loop import run

if TYPE_CHECKING:
    from tests.kit.virtual_loop import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time


async def waits(timer: Timer, until: float) -> float | None:
    """When the timer fired, None if it did not."""
    loop = asyncio.get_running_loop()
    try:
        await asyncio.sleep(until - loop.time())
    except asyncio.CancelledError:
        assert timer.expired()
        return loop.time()
    return None


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.25, 0.5, 0.501, 0.75, 3.1415, 300.0])
async def test_it_fires_on_the_dot(virtual_loop: VirtualTimeLoop, seconds: float) -> None:
    timer = Timer(Wheel())
    when = virtual_loop.time() + seconds
    timer.arm(when, virtual_loop.time())
    assert await waits(timer, when + 60) == pytest.approx(when)


async def test_the_last_word_counts(virtual_loop: VirtualTimeLoop) -> None:
    timer, now = Timer(Wheel()), virtual_loop.time()
    for seconds in (2.0, 0.1, 7.0):
        timer.arm(now + seconds, now)
    assert await waits(timer, now + 60) == now + 7


@pytest.mark.parametrize("seconds", [0.1, 3.0])
async def test_disarmed_it_does_nothing(virtual_loop: VirtualTimeLoop, seconds: float) -> None:
    timer, now = Timer(Wheel()), virtual_loop.time()
    timer.arm(now + seconds, now)
    timer.disarm()
    timer.disarm()
    assert await waits(timer, now + 60) is None


async def test_disarmed_after_its_slot_came_up(virtual_loop: VirtualTimeLoop) -> None:
    timer, now = Timer(Wheel()), virtual_loop.time()
    timer.arm(now + 3.2, now)
    await asyncio.sleep(3.1)
    timer.disarm()
    assert await waits(timer, now + 60) is None


async def test_no_deadline_is_no_timer(virtual_loop: VirtualTimeLoop) -> None:
    timer, now = Timer(Wheel()), virtual_loop.time()
    timer.arm(NO_DEADLINE, now)
    assert await waits(timer, now + 1e6) is None


async def test_callers_cannot_fill_the_wheel_with_far_deadlines(virtual_loop: VirtualTimeLoop) -> None:
    wheel, now = Wheel(), virtual_loop.time()
    for day in range(1, 1000):
        timer = Timer(wheel)
        timer.arm(now + day * 86_400, now)
        timer.disarm()
    assert len(wheel._slots) == 1
    timer.arm(now + 86_400, now)
    assert await waits(timer, now + 90_000) == pytest.approx(now + 86_400)


async def test_timers_of_one_slot_do_not_disturb_each_other(virtual_loop: VirtualTimeLoop) -> None:
    wheel, now = Wheel(), virtual_loop.time()

    async def one(seconds: float) -> float | None:
        timer = Timer(wheel)
        timer.arm(now + seconds, now)
        return await waits(timer, now + 60)

    moments = [5.0, 5.1, 5.2, 5.24, 5.1]
    assert await asyncio.gather(*map(one, moments)) == [pytest.approx(now + moment) for moment in moments]


async def test_a_cancellation_that_is_not_its_own(virtual_loop: VirtualTimeLoop) -> None:
    seen: list[bool] = []

    async def one() -> None:
        timer = Timer(Wheel())
        timer.arm(virtual_loop.time() + 10, virtual_loop.time())
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(timer.expired())
            timer.disarm()

    task = asyncio.create_task(one())
    await asyncio.sleep(1)
    task.cancel()
    await task
    assert seen == [False]


@given(st.lists(st.tuples(st.integers(1, 20_000), st.booleans()), min_size=1, max_size=12))
def test_each_fires_alone_and_in_time(plans: list[tuple[int, bool]]) -> None:
    async def played() -> None:
        loop = asyncio.get_running_loop()
        wheel, began = Wheel(), loop.time()

        async def one(milliseconds: int, kept: bool) -> None:
            seconds = milliseconds / 1000
            timer = Timer(wheel)
            timer.arm(began + seconds, began)
            if not kept:
                await asyncio.sleep(seconds / 2)
                timer.disarm()
            fired = await waits(timer, began + 30)
            assert fired == (pytest.approx(began + seconds, abs=1e-6) if kept else None)

        await asyncio.gather(*(one(*plan) for plan in plans))

    run(played())
