"""What a process holds: to tell that it holds no more after a hundred of something than before."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

OF_A_GENERATION = {
    "Runtime", "Engine", "RouteTable", "Route", "Target", "Service", "Parts", "Loaded", "Settings", "Methods",
    "HttpService", "HttpUpstream", "GrpcUpstream", "LlmUpstream", "Channel", "Pool", "Connector", "Origin",
    "HealthCheck", "Reflection", "Breaker", "RateLimit", "RedisLimit", "RedisStore",
    "Concurrency", "RetryBudget", "Rest", "Rests", "Addresses",
    "RouteSeries", "TargetSeries", "HttpListener", "GrpcListener", "GrpcServer", "AdminServer", "Acceptor",
    "ServerConnection", "ClientConnection", "SSLContext",
}  # fmt: skip
"""Names of the types of which a generation has some."""

EXECUTORS = ("asyncio_", "uvloop_")
"""The loops' own threads: they make a few more when they like, and keep them."""

GRPCIOS = "AioServer._request_call"
"""A task that each of grpcio's servers has, but for a moment after each call."""

EVERY = 0.02
"""Seconds from look to look: nothing tells when grpcio's threads have closed what they had open."""


def held() -> Counter[str]:
    """Objects of generations, tasks, threads and descriptors, by what they are."""
    gc.collect()
    found = Counter(name for each in gc.get_objects() if (name := type(each).__name__) in OF_A_GENERATION)
    tasks = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    found.update(f"task {name}" for name in tasks if name != GRPCIOS)
    threads = (thread.name for thread in threading.enumerate())
    found.update(f"thread {name}" for name in threads if not name.startswith(EXECUTORS))
    found.update(descriptors())
    return found


def descriptors() -> Counter[str]:
    """Open descriptors by kind: `socket`, `pipe`, `anon_inode`, or a path."""
    found: Counter[str] = Counter()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found[f"descriptor {each.readlink()}".partition(":[")[0]] += 1
        except OSError:
            continue  # the one that lists the folder
    return found


async def more_than(before: Counter[str], look: Callable[[], Counter[str]] = held) -> Counter[str]:
    """What is held beyond `before`, once that is nothing, or at the end of all patience."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + PATIENCE
    while (more := look() - before) and loop.time() < ends:  # noqa: ASYNC110 - what is waited for is no event
        await asyncio.sleep(EVERY)
    return more
