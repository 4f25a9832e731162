"""Faults that are switched on, and end by themselves."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.standins.faults import HEALTHY, Fault, Kind
from sidecar.standins.switching import Switching

pytestmark = pytest.mark.virtual_time

SLOW, DEAD = Fault(Kind.SLOW, delay=1), Fault(Kind.DEAD, lasts=30)


class Standin:
    """What it became, and when."""

    def __init__(self) -> None:
        self.clock = asyncio.get_running_loop().time
        self.began = self.clock()
        self.became: list[tuple[float, Kind]] = []
        self.switching = Switching(self.become, HEALTHY)

    async def become(self, fault: Fault) -> None:
        self.became.append((self.clock() - self.began, fault.kind))


async def test_a_fault_holds_until_told_otherwise() -> None:
    standin = Standin()
    await standin.switching.to(SLOW)
    await asyncio.sleep(3600)
    assert standin.became == [(0, Kind.SLOW)]
    assert standin.switching.later is None


async def test_one_that_lasts_ends_by_itself() -> None:
    standin = Standin()
    await standin.switching.to(DEAD)
    assert standin.switching.later is not None
    await standin.switching.later
    assert standin.became == [(0, Kind.DEAD), (30, Kind.NONE)]


async def test_its_end_is_not_that_of_the_next_one() -> None:
    standin = Standin()
    await standin.switching.to(DEAD)
    await asyncio.sleep(29)
    await standin.switching.to(SLOW)
    await asyncio.sleep(3600)
    assert standin.became == [(0, Kind.DEAD), (29, Kind.SLOW)]


async def test_nothing_ends_behind_the_stop() -> None:
    standin = Standin()
    await standin.switching.to(DEAD)
    standin.switching.forget()
    standin.switching.forget()
    await asyncio.sleep(3600)
    assert standin.became == [(0, Kind.DEAD)]
