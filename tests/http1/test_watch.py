from __future__ import annotations

import asyncio

import pytest

from sidecar.http1.watch import Watch
from tests.kit.virtual_loop import START, VirtualTimeLoop

pytestmark = pytest.mark.virtual_time


class State:
    """Something that is waited for, and when patience with it was over."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.patience = 0.0
        self.over: list[float] = []
        self.watch = Watch(loop, lambda: self.patience, lambda: self.over.append(loop.time() - START))

    def enter(self, patience: float) -> None:
        self.patience = patience
        self.watch.begin()


async def test_patience_ends(virtual_loop: VirtualTimeLoop) -> None:
    state = State(virtual_loop)
    state.enter(10)
    await asyncio.sleep(100)
    assert state.over == [10]


async def test_what_moves_is_waited_for_anew(virtual_loop: VirtualTimeLoop) -> None:
    state = State(virtual_loop)
    for _ in range(5):
        state.enter(10)
        await asyncio.sleep(9)
    await asyncio.sleep(100)
    assert state.over == [46]


async def test_a_shorter_patience_counts_at_once(virtual_loop: VirtualTimeLoop) -> None:
    state = State(virtual_loop)
    state.enter(75)
    state.enter(10)
    await asyncio.sleep(100)
    assert state.over == [10]


async def test_nothing_ends_while_nothing_is_owed(virtual_loop: VirtualTimeLoop) -> None:
    state = State(virtual_loop)
    state.enter(10)
    state.enter(0)
    await asyncio.sleep(100)
    assert state.over == []
    state.enter(10)
    await asyncio.sleep(100)
    assert state.over == [110]


async def test_stopped_is_stopped(virtual_loop: VirtualTimeLoop) -> None:
    state = State(virtual_loop)
    state.watch.stop()
    state.enter(10)
    state.watch.stop()
    await asyncio.sleep(100)
    assert state.over == []
