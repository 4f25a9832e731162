"""A cluster: each decision is made by the node that has its key."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from redis.crc import key_slot

from sidecar.policy.limiter import Window
from sidecar.settings import RedisSettings
from sidecar.stores.redis_line import Patience
from sidecar.stores.redis_nodes import Nodes
from sidecar.stores.redis_script import decision, given
from tests.kit.redis_cluster import HALF, redis_cluster
from tests.kit.redis_server import redis_server
from tests.kit.running import running
from tests.kit.shared_limit import health, passed, patient, shared, statuses

if TYPE_CHECKING:
    from tests.kit.redis_server import RedisServer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch)


WINDOWS = given([Window(1000, 3600.0, 1000)])
KEYS = [b"sidecar:{k:%d}" % number for number in range(40)]


class One(NamedTuple):
    key: bytes
    given: Any


def asked(*keys: bytes) -> list[One]:
    return [One(key, lambda _, key=key: decision(key, WINDOWS, 1.0, 0.0)) for key in keys]


def nodes(first: RedisServer) -> Nodes:
    return Nodes(RedisSettings(url=first.url), time.monotonic)


async def left(nodes: Nodes, *keys: bytes) -> list[int | None]:
    """What is left to each; None where it was not counted."""
    answers = await nodes.ask(asked(*keys), Patience(5.0))
    return [round(float(answer.said[1])) if isinstance(answer.said, list) else None for answer in answers]


async def test_of_one_server_nothing_else_is_asked() -> None:
    async with redis_server() as redis:
        ours = nodes(redis)
        assert await left(ours, *KEYS) == [999] * 40
        assert ours._others == {}
        await ours.aclose()


async def test_each_decision_is_made_where_its_key_is_in_order() -> None:
    async with redis_cluster() as (first, second):
        ours = nodes(first)
        assert await left(ours, *KEYS, KEYS[0]) == [999] * 40 + [998]
        assert await left(ours, *KEYS) == [997, *[998] * 39]
        there = sum(key_slot(key) >= HALF for key in KEYS)
        assert 0 < there < 40
        assert await first.ask("DBSIZE") == f":{40 - there}"
        assert await second.ask("DBSIZE") == f":{there}"
        await ours.aclose()


async def test_a_node_that_is_away_takes_only_its_own_keys_with_it() -> None:
    async with redis_cluster() as (first, second):
        ours = nodes(first)
        await left(ours, *KEYS)
        await second.stop()
        for _ in range(2):
            assert [number is None for number in await left(ours, *KEYS)] == [key_slot(key) >= HALF for key in KEYS]
        await ours.aclose()


async def test_two_sidecars_share_limits_in_a_cluster() -> None:
    async with redis_cluster() as (first, second):
        limit = 'per_hour = 3, key = "header:X-Who"'
        async with running(shared(first.url, limit)) as a, running(shared(second.url, limit)) as b:
            for who in range(6):
                assert await statuses(a, 2, f"X-Who: {who}") == [200, 200]
                assert await passed(b, 3, f"X-Who: {who}") == 1
            assert await health(a) == ("healthy", "ok")
