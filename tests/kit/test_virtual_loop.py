from __future__ import annotations

import asyncio
import time

import pytest
from aiolimiter import AsyncLimiter

from tests.kit.virtual_loop import START, JumpingSelector, StuckError, VirtualTimeLoop, run


@pytest.mark.virtual_time
async def test_an_hour_of_sleeps_takes_no_time() -> None:
    began = time.monotonic()
    for _ in range(1000):
        await asyncio.sleep(3.6)
    assert asyncio.get_running_loop().time() == pytest.approx(START + 3600)
    assert time.monotonic() - began < 5


@pytest.mark.virtual_time
async def test_timers_fire_in_order_and_on_the_dot(virtual_loop: VirtualTimeLoop) -> None:
    heard: list[tuple[str, float]] = []

    def hear(word: str) -> None:
        heard.append((word, virtual_loop.time() - START))

    for delay, word in ((2.0, "two"), (1.0, "one"), (2.5, "half")):
        virtual_loop.call_later(delay, hear, word)
    await asyncio.sleep(3)
    assert heard == [("one", 1.0), ("two", 2.0), ("half", 2.5)]


@pytest.mark.virtual_time
async def test_asyncio_timeout_runs_on_virtual_time(virtual_loop: VirtualTimeLoop) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await asyncio.sleep(61)
    assert virtual_loop.time() == START + 60


@pytest.mark.virtual_time
async def test_aiolimiter_runs_on_virtual_time(virtual_loop: VirtualTimeLoop) -> None:
    limiter = AsyncLimiter(1, 10)
    for _ in range(4):
        await limiter.acquire()
    assert virtual_loop.time() == pytest.approx(START + 30)


@pytest.mark.virtual_time
async def test_a_running_task_may_move_time_itself(virtual_loop: VirtualTimeLoop) -> None:
    virtual_loop.advance(7.5)
    assert virtual_loop.time() == START + 7.5


async def test_unmarked_tests_run_on_real_time() -> None:
    assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)


def test_waiting_for_what_never_comes_fails_instead_of_hanging() -> None:
    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StuckError):
        run(wait_for_ever())


def test_time_moves_even_where_floats_are_coarse() -> None:
    selector = JumpingSelector()
    selector.now = before = 1e16
    selector.select(0.25)
    selector.close()
    assert selector.now > before
