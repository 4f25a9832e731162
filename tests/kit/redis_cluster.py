r"""A Redis cluster of two nodes, each with a half of the slots.

async with redis_cluster() as (first, second):
    ...
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis import Redis

from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.redis_server import redis_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.redis_server import RedisServer

HALF = 8192

LOOK = 0.02
"""Seconds from look to look: no node tells when it has heard of the others."""


@asynccontextmanager
async def redis_cluster() -> AsyncIterator[tuple[RedisServer, RedisServer]]:
    """Both know of each other, and take calls."""
    bus = [free_port(), free_port()]
    options = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-port")
    async with redis_server(*options, str(bus[0])) as first, redis_server(*options, str(bus[1])) as second:
        assert await first.ask("CLUSTER", "ADDSLOTSRANGE", "0", str(HALF - 1)) == "+OK"
        assert await second.ask("CLUSTER", "ADDSLOTSRANGE", str(HALF), str(2 * HALF - 1)) == "+OK"
        assert await first.ask("CLUSTER", "MEET", "127.0.0.1", str(second.port), str(bus[1])) == "+OK"
        async with asyncio.timeout(PATIENCE):
            while _slots(first) + _slots(second) < 4 * HALF:  # noqa: ASYNC110
                await asyncio.sleep(LOOK)
        yield first, second


def _slots(node: RedisServer) -> int:
    """How many it knows the owner of, if it is well."""
    with Redis.from_url(node.url, protocol=2) as redis:
        said: Any = redis.execute_command("CLUSTER", "INFO")
    told = dict(line.split(":") for line in said.decode().split())
    return int(told["cluster_slots_assigned"]) if told["cluster_state"] == "ok" else 0
