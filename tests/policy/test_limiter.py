from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.policy.limiter import LOOKS, Limiter, RateLimit, Window, windows_of
from sidecar.quota import Quota
from sidecar.settings import RateLimitSettings

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

    from tests.kit.virtual_loop import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time


def limit(**settings: Any) -> RateLimit:
    return RateLimit(RateLimitSettings(**settings), asyncio.get_running_loop().time)


def taken(limit: RateLimit, key: str = "k", tries: int = 1000) -> int:
    """How many calls of a key pass before one is told to wait."""
    return next(count for count in range(tries) if limit.take(key) > 0)


# One bucket.


async def test_a_bucket_takes_its_burst_then_tells_the_wait(virtual_loop: VirtualTimeLoop) -> None:
    bucket = Limiter(2, 10)
    assert [bucket.take() for _ in range(4)] == [0.0, 0.0, 5.0, 5.0]
    virtual_loop.advance(4)
    assert bucket.take() == pytest.approx(1)
    virtual_loop.advance(1)
    assert bucket.take() == 0.0


@pytest.mark.parametrize(("burst", "rate"), [(1, 3), (3, 0.3), (7, 1.1), (10, 9.7)])
async def test_who_waits_as_long_as_told_passes(virtual_loop: VirtualTimeLoop, burst: float, rate: float) -> None:
    bucket = Limiter(burst, burst / rate)
    for _ in range(500):
        virtual_loop.advance(bucket.take())
        virtual_loop.advance(bucket.time_until())
        assert bucket.time_until() == 0.0


async def test_asking_takes_nothing() -> None:
    bucket = Limiter(1, 1)
    assert [bucket.time_until() for _ in range(3)] == [0.0, 0.0, 0.0]


async def test_larger_amounts_wait_longer_and_too_large_ones_for_ever() -> None:
    bucket = Limiter(10, 10)
    assert bucket.take(8) == 0.0
    assert bucket.take(5) == 3.0
    assert bucket.take(10) == 8.0
    assert bucket.take(10.5) == math.inf


async def test_a_charge_may_leave_a_debt_that_drains(virtual_loop: VirtualTimeLoop) -> None:
    bucket = Limiter(10, 10)
    bucket.charge(25)
    assert (bucket.free, bucket.share) == (-15, 2.5)
    assert bucket.take(1) == 16
    virtual_loop.advance(16)
    assert bucket.take(1) == 0.0


async def test_a_drained_bucket_is_idle(virtual_loop: VirtualTimeLoop) -> None:
    bucket = Limiter(10, 10)
    seen = [(bucket.idle, bucket.drained_in)]
    bucket.take(3)
    seen.append((bucket.idle, bucket.drained_in))
    virtual_loop.advance(3)
    seen.append((bucket.idle, bucket.drained_in))
    assert seen == [(True, 0.0), (False, 3.0), (True, 0.0)]


async def test_a_share_can_be_carried_over() -> None:
    old, new = Limiter(10, 10), Limiter(100, 10)
    old.take(4)
    new.share = old.share
    assert new.free == 60


async def test_it_is_still_an_aiolimiter(virtual_loop: VirtualTimeLoop) -> None:
    bucket: AsyncLimiter = Limiter(1, 10)
    began = virtual_loop.time()
    async with bucket, bucket:
        assert virtual_loop.time() - began == pytest.approx(10)


# Windows.


def test_the_burst_is_of_the_shortest_window() -> None:
    assert windows_of(RateLimitSettings(per_second=10, per_minute=100, burst=20)) == (
        Window(10, 1.0, 20),
        Window(100, 60.0, 100),
    )
    assert windows_of(RateLimitSettings(per_hour=500, per_day=1000)) == (
        Window(500, 3600.0, 500),
        Window(1000, 86400.0, 1000),
    )
    shortest = Window(10, 1.0, 20).limiter()
    assert (shortest.max_rate, shortest.time_period) == (20, 2.0)


async def test_all_windows_take_or_none_does(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_second=2, per_minute=3)
    assert taken(rates) == 2
    assert rates.take("k") == 0.5, "the second is full"
    virtual_loop.advance(0.5)
    assert rates.take("k") == 0.0
    virtual_loop.advance(1)
    assert rates.take("k") == pytest.approx(18.5), "the minute is full, at a call each 20 s"
    assert [quota.remaining for quota in rates.quotas("k")] == [2, 0], "nothing was taken of the second"


async def test_the_longest_wait_of_the_windows_is_told() -> None:
    rates = limit(per_second=1, per_minute=1)
    rates.take("k")
    assert rates.take("k") == 60


async def test_keys_do_not_share() -> None:
    rates = limit(per_minute=2, key="header:X-Tenant-ID")
    assert (taken(rates, "a"), taken(rates, "b")) == (2, 2)


async def test_quotas_tell_each_window(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_minute=60, per_hour=100)
    assert rates.quotas("k") == [Quota(60, 60.0, 60, 0.0), Quota(100, 3600.0, 100, 0.0)]
    for _ in range(10):
        rates.take("k")
    assert rates.quotas("k") == [Quota(60, 60.0, 50, 10.0), Quota(100, 3600.0, 90, 360.0)]
    virtual_loop.advance(1.5)
    assert [quota.remaining for quota in rates.quotas("k")] == [51, 90]


async def test_a_burst_never_shows_more_than_the_count() -> None:
    rates = limit(per_second=10, burst=20)
    assert rates.quotas("k")[0].remaining == 10
    for _ in range(12):
        rates.take("k")
    assert rates.quotas("k")[0].remaining == 8


# Keys in bounded memory.


async def test_idle_buckets_are_forgotten_when_new_keys_come(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_second=1, key="ip")
    for number in range(1000):
        rates.take(f"10.0.{number}")
        virtual_loop.advance(0.3)
    assert rates.snapshot()["keys"] == 4


async def test_busy_buckets_are_kept(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_minute=1, key="ip")
    rates.take("busy")
    for number in range(50):
        virtual_loop.advance(1)
        rates.take(f"new {number}")
    assert rates.take("busy") == pytest.approx(10)


async def test_a_bucket_used_again_is_kept_longer_than_it_first_seemed(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_minute=2, key="ip")
    rates.take("k")
    virtual_loop.advance(20)
    rates.take("k")
    virtual_loop.advance(20)
    rates.take("other")
    assert rates.quotas("k")[0].remaining == 1
    virtual_loop.advance(20)
    rates.take("third")
    assert rates.snapshot()["keys"] == 2


async def test_when_all_are_busy_new_keys_share_one_bucket() -> None:
    rates = limit(per_minute=2, key="ip", max_keys=3)
    for key in "abc":
        rates.take(key)
    assert rates.take("d") == 0.0
    assert rates.take("e") == 0.0
    assert rates.take("f") == 30, "d and e have used what d, e and f share"
    assert rates.quotas("g")[0].remaining == 0
    assert rates.take("a") == 0.0, "who has a bucket keeps it"
    assert rates.snapshot()["keys"] == 3
    assert rates.snapshot()["shared_calls"] == 3


async def test_a_key_leaves_the_shared_bucket_when_another_becomes_idle(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_minute=1, key="ip", max_keys=1)
    rates.take("a")
    rates.take("b")
    virtual_loop.advance(60)
    rates.take("b")
    assert rates.snapshot() | {"keys": 1, "shared_calls": 1} == rates.snapshot()
    assert rates.quotas("b")[0].remaining == 0


async def test_a_new_key_looks_at_a_few_buckets_only(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_second=1, key="ip")
    for number in range(100):
        rates.take(f"old {number}")
    virtual_loop.advance(10)
    rates.take("new")
    assert rates.snapshot()["keys"] == 100 - LOOKS + 1


# Over a reload.


async def test_changed_windows_keep_the_share_of_each_key() -> None:
    old = limit(per_minute=10, key="ip")
    for _ in range(5):
        old.take("half")
    assert taken(old, "full") == 10
    new = limit(per_minute=100, key="ip")
    new.adopt(old)
    assert new.quotas("half")[0].remaining == 50
    assert taken(new, "half") == 50
    assert taken(new, "full") == 0
    assert taken(new, "unknown") == 100


async def test_a_new_window_begins_as_full_as_the_fullest_old_one() -> None:
    old = limit(per_second=10, per_hour=100)
    for _ in range(8):
        old.take("k")
    new = limit(per_minute=10, per_hour=200)
    new.adopt(old)
    assert [quota.remaining for quota in new.quotas("k")] == [2, 184]


async def test_a_chain_of_reloads_keeps_what_was_used() -> None:
    rates = limit(per_minute=10)
    for _ in range(6):
        rates.take("k")
    for count in (20, 40, 80, 10):
        before, rates = rates, limit(per_minute=count)
        rates.adopt(before)
    assert taken(rates) == 4


async def test_the_old_limit_goes_on_for_calls_that_began_with_it() -> None:
    old = limit(per_minute=10)
    new = limit(per_minute=20)
    old.take("k")
    new.adopt(old)
    new.take("k")
    old.take("k")
    new.take("k")
    assert new.quotas("k")[0].remaining == 20 - 6, "1 of 10, 1 of 20, 1 of 10, 1 of 20"


async def test_the_shared_bucket_is_carried_over_too() -> None:
    old = limit(per_minute=2, key="ip", max_keys=1)
    for key in "abc":
        old.take(key)
    new = limit(per_minute=4, key="ip", max_keys=1)
    new.adopt(old)
    assert new.take("d") > 0


async def test_limits_by_another_key_start_afresh() -> None:
    old = limit(per_minute=2, key="ip")
    old.take("k")
    new = limit(per_minute=2, key="api_key")
    new.adopt(old)
    assert taken(new) == 2


# What people see.


async def test_the_snapshot_tells_no_keys() -> None:
    rates = limit(per_second=10, burst=20, per_minute=100, key="header:X-Tenant-ID", max_keys=50)
    rates.take("acme")
    assert rates.snapshot() == {
        "key": "header:X-Tenant-ID",
        "store": "local",
        "windows": [
            {"unit": "requests", "limit": 10, "seconds": 1.0, "burst": 20},
            {"unit": "requests", "limit": 100, "seconds": 60.0, "burst": 100},
        ],
        "keys": 1,
        "max_keys": 50,
        "shared_calls": 0,
    }


async def test_the_snapshot_of_a_global_limit_tells_what_is_left() -> None:
    rates = limit(per_minute=10)
    assert rates.snapshot()["remaining"] == [10]
    rates.take("")
    assert rates.snapshot()["remaining"] == [9]


def test_a_bucket_in_debt_has_nothing_left() -> None:
    (window,) = windows_of(RateLimitSettings(per_minute=60))
    assert window.quota(free=-3.0) == Quota(60, 60.0, 0, 63.0)
