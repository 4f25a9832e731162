r"""A policy with one limit that is counted in Redis, and what its callers see.

async with redis_server() as redis, running(shared(redis.url, "per_minute = 5")) as sidecar:
    assert await statuses(sidecar, 6) == [200] * 5 + [429]
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from sidecar.stores import redis_store
from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    import pytest

    from tests.kit.running import Running

LOOK = 0.02
"""Seconds from look to look: nothing tells a caller that a store is back."""


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is counted alone because the machine is busy with other tests; and Redis is tried again soon."""
    monkeypatch.setattr(redis_store, "PATIENCE", 20.0)
    monkeypatch.setattr(redis_store, "FIRST_REST", 0.05)
    monkeypatch.setattr(redis_store, "LONGEST_REST", 0.1)


def shared(url: str, limit: str = "per_minute = 5", *, on_failure: str = "local", store: str = "redis") -> str:
    """One route, `/api/*`, that answers by itself; `limit` is the keys of its rate limit."""
    return f"""
[redis]
url = "{url}"
on_failure = "{on_failure}"
[static.ok]
status = 200
body = "ok"
[routes.r]
match = {{ path = "/api/*" }}
chain = ["static/ok"]
rate_limit = {{ {limit}, store = "{store}" }}
"""


async def statuses(sidecar: Running, calls: int, *fields: str) -> list[int]:
    """Of calls one after the other, on one connection."""
    caller = await sidecar.caller()
    said = []
    for _ in range(calls):
        caller.send("\r\n".join(("GET /api/x HTTP/1.1", "Host: a", *fields, "", "")).encode())
        said.append((await caller.answer()).status)
    await caller.close()
    return said


async def passed(sidecar: Running, calls: int, *fields: str) -> int:
    """How many of so many calls at once were let in."""
    said = await asyncio.gather(*(sidecar.ask("/api/x", *fields) for _ in range(calls)))
    return sum(answer.status == 200 for answer in said)


async def health(sidecar: Running) -> tuple[str, str]:
    """What it says of itself, and of Redis; empty where it says nothing of it."""
    told = json.loads((await sidecar.ask("/health")).body)
    return told["status"], told["checks"].get("redis", "")


async def until_redis(sidecar: Running, state: str) -> str:
    """Until health says so of Redis: what it says exactly."""
    async with asyncio.timeout(PATIENCE):
        while state not in (told := (await health(sidecar))[1]):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(LOOK)
    return told


async def metric(sidecar: Running, name: str) -> float:
    """A metric's number, by its name with its labels as it is written; 0.0 where there is none."""
    text = (await sidecar.ask("/metrics")).body.decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + " "))
