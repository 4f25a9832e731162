"""A reload that brings a shared limit, changes it, moves it or takes it away; nothing of it is left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis import Redis

from tests.kit.inventory import held, more_than
from tests.kit.redis_server import redis_server
from tests.kit.running import Running, running
from tests.kit.shared_limit import LOOK, health, metric, passed, patient, shared, statuses

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch)


SHARED = 'sidecar_store_decisions_total{store="redis",result="shared"}'


async def become(sidecar: Running, *changes: tuple[str, str]) -> dict[str, Any]:
    """The policy file with other words in it."""
    text = sidecar.file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    sidecar.file.write_text(text)
    return await sidecar.daemon.reload()


def connections(url: str) -> int:
    with Redis.from_url(url, protocol=2) as redis:
        return len(redis.client_list()) - 1


async def until_left(url: str) -> None:
    async with asyncio.timeout(20):
        while connections(url):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(LOOK)


async def test_a_changed_limit_keeps_its_share_and_its_connection() -> None:
    async with redis_server() as redis:
        policy = shared(redis.url, "per_hour = 4")
        async with running(policy) as a, running(policy) as b:
            assert await statuses(a, 2) == [200, 200]
            told = await become(a, ("per_hour = 4", "per_hour = 8"))
            assert "store redis" in told["kept"]
            assert await statuses(a, 2) == [200, 200]
            assert await statuses(b, 2) == [200, 429], "two of four and two of eight are three of four"
            assert connections(redis.url) == 2


async def test_it_moves_to_redis_and_home_again_and_takes_its_level_along() -> None:
    async with redis_server() as redis, running(shared(redis.url, "per_hour = 4", store="local")) as sidecar:
        assert await statuses(sidecar, 1) == [200]
        assert await health(sidecar) == ("healthy", "")
        assert connections(redis.url) == 0
        await become(sidecar, ('store = "local"', 'store = "redis"'))
        assert await statuses(sidecar, 2) == [200, 200]
        await become(sidecar, ('store = "redis"', 'store = "local"'))
        assert await statuses(sidecar, 2) == [200, 429]
        await until_left(redis.url)


async def test_to_another_redis_it_goes_with_its_level() -> None:
    async with (
        redis_server() as one,
        redis_server() as other,
        running(shared(one.url, "per_hour = 4")) as sidecar,
    ):
        assert await statuses(sidecar, 3) == [200] * 3
        told = await become(sidecar, (one.url, other.url))
        assert "store redis" in told["reset"]
        assert await statuses(sidecar, 2) == [200, 429]
        await until_left(one.url)
        assert connections(other.url) == 1


async def test_a_call_that_waits_on_the_configuration_before_is_still_counted_there() -> None:
    async with redis_server() as redis, running(shared(redis.url, 'per_second = 2, burst = 1, max_wait = "9s"')) as a:
        assert await statuses(a, 1) == [200]
        waiting = asyncio.create_task(passed(a, 1))
        async with asyncio.timeout(20):
            while await metric(a, SHARED) < 2:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(LOOK)
        await become(a, ('store = "redis"', 'store = "local"'))
        assert await waiting == 1
        await until_left(redis.url)


async def test_of_reloads_nothing_is_left() -> None:
    async with redis_server() as redis, running(shared(redis.url, "per_hour = 100000")) as sidecar:
        for count in range(12):
            there, back = ('"redis"', '"local"') if count % 2 == 0 else ('"local"', '"redis"')
            calls = asyncio.create_task(passed(sidecar, 5))
            await become(sidecar, (f"store = {there}", f"store = {back}"))
            assert await calls == 5
            if count == 1:  # as at the end: connected, and the first file is kept as the process was begun with it
                assert await passed(sidecar, 1) == 1
                before = held()
        assert await more_than(before) == {}
