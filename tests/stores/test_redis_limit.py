"""A limit that several sidecars count in one Redis, and what it goes on from where Redis is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import pytest
from redis import Redis

from sidecar.errors import Overloaded
from sidecar.policy.limiter import RateLimit
from sidecar.settings import RateLimitSettings, RedisSettings
from sidecar.stores import redis_store
from sidecar.stores.redis_limit import RedisLimit, bucket_key
from sidecar.stores.redis_store import RedisStore
from tests.kit.redis_server import redis_server
from tests.kit.shared_limit import patient

if TYPE_CHECKING:
    from tests.kit.redis_server import RedisServer

RATES = {"per_hour": 10}


class Count:
    """Hears how many decisions were made where."""

    def __init__(self) -> None:
        self.counts = {"shared": 0, "alone": 0, "rejected": 0}
        self.up = asyncio.Event()
        self.down = asyncio.Event()

    def shared(self, seconds: float) -> None:
        assert seconds > 0
        self.counts["shared"] += 1

    def alone(self) -> None:
        self.counts["alone"] += 1

    def rejected(self) -> None:
        self.counts["rejected"] += 1

    def moved(self, trouble: str) -> None:
        (self.down if trouble else self.up).set()
        (self.up if trouble else self.down).clear()


class Sidecar:
    """One process' share in a limit."""

    def __init__(
        self, redis: RedisServer, *, on_failure: str = "local", before: Sidecar | None = None, **limits: Any
    ) -> None:
        clock = asyncio.get_running_loop().time
        self.heard = Count()
        self.store = RedisStore(RedisSettings(url=redis.url, on_failure=on_failure), self.heard, clock)  # type: ignore[arg-type]
        self.bucket = RateLimit(RateLimitSettings(**{**RATES, **limits}), clock)
        if before is not None:
            self.bucket.adopt(before.bucket)
        self.limit = RedisLimit("route:r", self.bucket, self.store, clock)

    async def take(self, times: int = 1, key: str = "", tokens: float = 0.0) -> list[int]:
        """What is left after each that was taken; -1 for one that was not."""
        said = []
        for _ in range(times):
            taken = await self.limit.take(key, tokens=tokens)
            said.append(-1 if taken.wait else min(quota.remaining for quota in taken.quotas))
        return said

    async def settled(self) -> None:
        """What was told by the way has arrived: the next answer comes after it."""
        await self.store.ask(b"", lambda _: redis_store._PROBE, 1).answered  # type: ignore[union-attr]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.store.aclose()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch)


async def test_two_share_a_bucket_per_key() -> None:
    async with redis_server() as redis, Sidecar(redis) as a, Sidecar(redis) as b:
        assert await a.take(3) == [9, 8, 7]
        assert await b.take(2) == [6, 5]
        assert await b.take(key="other") == [9]
        assert await a.take(6) == [4, 3, 2, 1, 0, -1]
        refused = await b.limit.take("")
        assert 0 < refused.wait <= 360
        assert a.heard.counts == {"shared": 9, "alone": 0, "rejected": 0}


async def test_what_callers_say_does_not_stand_in_redis() -> None:
    async with redis_server() as redis, Sidecar(redis) as a:
        await a.take(key="tenant-acme")
        with Redis.from_url(redis.url, protocol=2) as client:
            keys = client.keys("*")
        (key,) = (key for key in keys if b"probe" not in key)
        assert key == bucket_key("route:r", "global", "tenant-acme")
        assert key.startswith(b"sidecar:{route:r:")
        assert key.endswith(b"}")
        assert b"acme" not in key


def test_other_names_and_other_kinds_of_keys_are_other_buckets() -> None:
    assert len({bucket_key(name, kind, "x") for name in ("route:a", "route:b") for kind in ("ip", "global")}) == 4


async def test_without_redis_it_goes_on_from_what_redis_said_last() -> None:
    async with redis_server() as redis, Sidecar(redis) as a, Sidecar(redis) as b:
        await b.take(6)
        assert await a.take(2) == [3, 2]
        await redis.stop()
        assert await a.take(4) == [1, 0, -1, -1]
        assert await b.take(5) == [3, 2, 1, 0, -1], "each by what it has heard: it had heard of 6"
        assert a.heard.counts == {"shared": 2, "alone": 4, "rejected": 0}


async def test_what_redis_has_forgotten_it_is_told_again() -> None:
    async with redis_server() as redis, Sidecar(redis) as a, Sidecar(redis) as b:
        await a.take(4)
        await redis.stop()
        await a.take(3)
        await a.heard.down.wait()
        await redis.start()
        await a.heard.up.wait()
        assert await a.take() == [2]
        assert await b.take() == [1]


async def test_begun_again_in_no_time_it_is_told_too() -> None:
    async with redis_server() as redis, Sidecar(redis) as a:
        await a.take(4)
        await redis.stop()
        await redis.start()
        assert await a.take() == [5]
        assert a.heard.counts == {"shared": 5, "alone": 0, "rejected": 0}


async def test_where_it_is_said_so_nobody_is_let_in_uncounted() -> None:
    async with redis_server() as redis, Sidecar(redis, on_failure="reject") as a:
        await a.take()
        await redis.stop()
        with pytest.raises(Overloaded) as refused:
            await a.take()
        assert refused.value.retry_after
        assert a.heard.counts == {"shared": 1, "alone": 0, "rejected": 1}


async def test_a_limit_that_was_counted_here_brings_its_level_along_and_takes_it_home() -> None:
    async with redis_server() as redis, Sidecar(redis) as before:
        for _ in range(4):
            before.bucket.take("")
        async with Sidecar(redis, before=before, per_hour=20) as a:
            assert await a.take() == [11], "four of ten are eight of twenty"
            home = RateLimit(RateLimitSettings(per_hour=20), asyncio.get_running_loop().time)
            home.adopt(a.bucket)
            assert [quota.remaining for quota in home.quotas("")] == [11]


async def test_tokens_are_put_right_for_all() -> None:
    limits: dict[str, Any] = {"per_hour": 0, "tokens_per_minute": 600}
    async with redis_server() as redis, Sidecar(redis, **limits) as a, Sidecar(redis, **limits) as b:
        assert await a.take(tokens=100) == [500]
        a.limit.correct("", 200)
        await a.settled()
        assert (await b.take(tokens=10))[0] in range(290, 300)
        b.limit.correct("", -10)
        b.limit.correct("", 0)
        await b.settled()
        assert (await a.take())[0] in range(300, 310)
        assert b.heard.counts["shared"] == 2


async def test_tokens_that_were_used_while_redis_was_away_are_brought_along() -> None:
    limits: dict[str, Any] = {"per_hour": 0, "tokens_per_minute": 600}
    async with redis_server() as redis, Sidecar(redis, **limits) as a, Sidecar(redis, **limits) as b:
        assert await a.take(tokens=100) == [500]
        await redis.stop()
        a.limit.correct("", 300)
        await a.heard.down.wait()
        a.limit.correct("", 100)
        await redis.start()
        await a.heard.up.wait()
        assert (await a.take(tokens=1))[0] in range(98, 120)
        assert (await b.take(tokens=1))[0] in range(97, 120)
        assert a.heard.counts == {"shared": 2, "alone": 2, "rejected": 0}


async def test_more_keys_than_are_kept_here_are_counted_there() -> None:
    async with redis_server() as redis, Sidecar(redis, key="ip", max_keys=2) as a:
        assert [await a.take(key=f"10.0.0.{n}") for n in range(5)] == [[9]] * 5
        assert [await a.take(key=f"10.0.0.{n}") for n in range(5)] == [[8]] * 5
        assert a.bucket.snapshot()["keys"] == 2
