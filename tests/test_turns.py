"""Long work leaves the loop to others in between."""

from __future__ import annotations

import asyncio

from sidecar.turns import in_turns


async def test_all_of_it_comes_in_its_order_so_many_at_a_time() -> None:
    assert [some async for some in in_turns(range(7), 3)] == [range(3), range(3, 6), range(6, 7)]
    assert [some async for some in in_turns("", 3)] == []


async def test_others_have_a_turn_between_two_slices() -> None:
    heard: list[str] = []

    async def work() -> None:
        async for some in in_turns("abcdef", 2):
            heard.extend(some)

    task = asyncio.create_task(work())
    while not task.done():
        await asyncio.sleep(0)
        heard.append("-")
    assert heard[:5] == ["a", "b", "-", "c", "d"]
