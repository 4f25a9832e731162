"""Listeners that move under traffic: who is in is served to the end, who comes finds the new address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kit.addresses import free_port
from tests.kit.inventory import more_than
from tests.kit.reload_stage import Policy, reload_stage
from tests.kit.reloading import at_rest, by_post, nothing_lost
from tests.kit.traffic import KINDS, Fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.reload_stage import Stage
    from tests.kit.traffic import Steady


def moved(stage: Stage, times: int) -> Iterator[Policy]:
    """Policies that have the listeners elsewhere, one or both of them."""
    ports = [free_port() for _ in range(4)]
    for number in range(times):
        policy = stage.policy()
        text = policy.text.replace('http = "127.0.0.1:0"', f'http = "127.0.0.1:{ports[number % 2]}"')
        text = text.replace('grpc = "127.0.0.1:0"', f'grpc = "127.0.0.1:{ports[2 + number // 2 % 2]}"')
        yield Policy("moved", text)


async def test_fifty_moves() -> None:
    async with reload_stage() as stage:
        kinds: list[type[Steady]] = [*KINDS, Fresh, Fresh, Fresh]
        await nothing_lost(stage, by_post, moved(stage, 4), kinds)
        before = await at_rest(stage)
        await nothing_lost(stage, by_post, moved(stage, 50), kinds)
        await at_rest(stage)
        assert await more_than(before) == {}
