"""Two sidecars and one real Redis: what passes is what the limit says, whoever is asked."""

from __future__ import annotations

import asyncio

import pytest

from tests.kit.redis_server import redis_server
from tests.kit.running import running
from tests.kit.shared_limit import health, metric, passed, patient, shared, statuses

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch)


async def test_one_limit_for_both() -> None:
    async with redis_server() as redis:
        policy = shared(redis.url, "per_minute = 5")
        async with running(policy) as a, running(policy) as b:
            assert await statuses(a, 3) == [200] * 3
            assert await statuses(b, 3) == [200, 200, 429]
            assert await statuses(a, 1) == [429]
            assert await health(a) == ("healthy", "ok")
            assert await metric(a, 'sidecar_store_decisions_total{store="redis",result="shared"}') == 4
            assert await metric(a, 'sidecar_store_up{store="redis"}') == 1
            assert await metric(b, 'rate_limit_exceeded_total{endpoint="r",identifier="global"}') == 1


async def test_of_a_crowd_at_both_passes_what_the_limit_says() -> None:
    async with redis_server() as redis:
        policy = shared(redis.url, "per_hour = 120")
        async with running(policy) as a, running(policy) as b:
            assert sum(await asyncio.gather(passed(a, 150), passed(b, 150))) == 120
            clients = await redis.ask("CLIENT", "LIST")
            assert clients.startswith("$")
