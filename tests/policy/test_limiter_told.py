"""A local limit as the image of one that somebody else counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.policy.limiter import RateLimit
from sidecar.settings import RateLimitSettings

if TYPE_CHECKING:
    from tests.kit.virtual_loop import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time

REDIS, ANOTHER = object(), object()


def limit(**settings: Any) -> RateLimit:
    return RateLimit(RateLimitSettings(**settings), asyncio.get_running_loop().time)


def left(limit: RateLimit, key: str = "k") -> list[int]:
    return [quota.remaining for quota in limit.quotas(key)]


async def test_it_goes_on_from_what_it_was_told(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_minute=60, per_hour=100)
    rates.told("k", [10.0, 20.0], REDIS)
    assert left(rates) == [10, 20]
    rates.told("k", [5.0, 19.0], REDIS)
    virtual_loop.advance(2)
    assert left(rates) == [7, 19]
    assert rates.take("k") == 0.0
    assert left(rates) == [6, 18]


async def test_what_it_was_told_it_need_not_tell(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_minute=60)
    assert rates.untold("k", REDIS) is None
    rates.take("k")
    assert rates.untold("k", REDIS) == [1.0]
    rates.told("k", [50.0], REDIS)
    assert rates.untold("k", REDIS) is None
    assert rates.untold("k", ANOTHER) == [10.0]
    rates.take("k")
    rates.alone("k")
    assert rates.untold("k", REDIS) == [11.0]
    virtual_loop.advance(60)
    assert rates.untold("k", REDIS) is None, "an empty bucket is none"
    rates.alone("nobody")
    assert rates.snapshot()["keys"] == 1


async def test_a_changed_limit_tells_its_share() -> None:
    old = limit(per_minute=10)
    old.told("k", [5.0], REDIS)
    new = limit(per_minute=100)
    new.adopt(old)
    assert new.untold("k", ANOTHER) == [50.0]
    new.told("k", [40.0], ANOTHER)
    assert left(new) == [40]


async def test_where_there_is_no_room_nothing_is_kept() -> None:
    rates = limit(per_minute=60, max_keys=1)
    rates.told("a", [1.0], REDIS)
    rates.told("b", [1.0], REDIS)
    assert rates.snapshot()["keys"] == 1
    assert left(rates, "b") == [60]
