"""The whole example by one command: Redis, a shop, and two sidecars in front of it that share a limit; then trouble.

python examples/fleet/run.py

It takes about three seconds. Exit code 1 if the two sidecars together let another number
of calls pass than their file says, 2 if there is no Redis to be started, or no client for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp

from sidecar.extras import DISTRIBUTION, installed
from sidecar.standins.faults import HEALTHY, Fault, Kind
from sidecar.standins.http import StandIn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

T = TypeVar("T")

HERE = Path(__file__).parent
ALONE = re.compile(r'^sidecar_store_decisions_total{store="redis",result="local"} (\d+)', re.MULTILINE)
ANYWHERE = {f"SIDECAR_LISTEN_{name}": "127.0.0.1:0" for name in ("HTTP", "ADMIN")}
CALLS = 20
ALLOWED = 10
"""Calls of one customer in an hour, as the policy file says."""
PATIENCE = 30.0
"""Seconds in which anything that is waited for must have come, on a busy machine."""
NO_REDIS = """There is no redis-server here, nor a valkey-server. One of these brings it:
  apt-get install redis-server
  brew install redis
  dnf install valkey"""
NO_CLIENT = f"""The sidecar's client for Redis is not installed. This brings it:
  {sys.executable} -m pip install '{DISTRIBUTION}[redis]'"""


@dataclass
class Redis:
    """A Redis that keeps nothing on disk, so that one that is begun again knows nothing."""

    command: str
    port: int
    folder: str
    _process: Process | None = None

    async def start(self) -> None:
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder)
        nowhere = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(self.command, *options, stdin=nowhere, stdout=nowhere)

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:  # Ctrl-C ends it, too
            process.kill()
            await process.wait()


@dataclass
class Sidecar:
    """One of the two."""

    name: str
    at: Mapping[str, str]
    session: aiohttp.ClientSession

    async def call(self, path: str, customer: str = "") -> int:
        """The status of one call through it."""
        async with self.session.get(f"http://{self.at['http']}{path}", headers={"X-Customer": customer}) as reply:
            return reply.status

    async def look(self, path: str) -> Any:
        """What its admin listener says."""
        async with self.session.get(f"http://{self.at['admin']}{path}") as reply:
            return await reply.json()

    async def limits(self) -> str:
        """What its health says of the store of its limits."""
        health = await self.look("/health")
        return str(health["checks"]["redis"])

    async def alone(self) -> int:
        """How often it has decided on a limit without Redis."""
        async with self.session.get(f"http://{self.at['admin']}/metrics") as reply:
            told = ALONE.search(await reply.text())
        return int(told[1]) if told else 0

    async def breaker(self) -> dict[str, Any]:
        numbers: dict[str, Any] = (await self.look("/circuit-breakers"))["shop"]
        return numbers


@dataclass
class Story:
    """Tells what happens, and keeps what was not as the policy file says."""

    sidecars: list[Sidecar]
    wrong: list[str] = field(default_factory=list)

    async def share(self, customer: str) -> None:
        """Calls of one customer that both sidecars count together.

        On a machine that stands still for 0.1 s a sidecar goes on without Redis, as it should, and counts for itself.
        That tells nothing of the limit over both: then another customer comes.
        """
        async with asyncio.timeout(PATIENCE):
            before = await self.alone()
            passed = await self.ask(customer)
            while await self.alone() != before:
                for sidecar in self.sidecars:
                    await until(sidecar.limits, lambda said: said == "ok")
                before = await self.alone()
                passed = await self.ask(f"{customer} {before}")
        self.tell(customer, passed, ALLOWED)

    async def search(self, customer: str, expected: int) -> None:
        """The same, whoever counts."""
        self.tell(customer, await self.ask(customer), expected)

    async def alone(self) -> int:
        return sum([await sidecar.alone() for sidecar in self.sidecars])

    async def ask(self, customer: str) -> dict[str, int]:
        """`CALLS` calls, to both sidecars in turn; how many passed through which."""
        passed = dict.fromkeys((sidecar.name for sidecar in self.sidecars), 0)
        for number in range(CALLS):
            sidecar = self.sidecars[number % len(self.sidecars)]
            status = await sidecar.call("/search", customer)
            self.hold(status in {200, 429}, f"{sidecar.name} answered {status}")
            passed[sidecar.name] += status == 200
        return passed

    def tell(self, customer: str, passed: dict[str, int], expected: int) -> None:
        total = sum(passed.values())
        each = ", ".join(f"{count} by {name}" for name, count in passed.items())
        print(f"  {customer}: {total} of {CALLS} calls passed ({each})", flush=True)
        self.hold(total == expected, f"{total} calls of {customer} passed, not {expected}")

    async def limits_are(self, sign: str) -> None:
        """Wait until the health of both says so of their limits, and tell it."""
        for sidecar in self.sidecars:
            await until(sidecar.limits, lambda said: sign in said)
        for sidecar in self.sidecars:
            print(f"  health of {sidecar.name}: redis: {await sidecar.limits()}", flush=True)

    async def fail(self) -> None:
        """Calls to each sidecar until its breaker opens; the second one has heard of the first by then."""
        opened = []
        for sidecar in self.sidecars:
            for tries in range(1, CALLS):
                await sidecar.call("/orders")
                if (await sidecar.breaker())["state"] == "open":
                    opened.append(tries)
                    break
            await self.heard()
        names = [sidecar.name for sidecar in self.sidecars]
        told = ", ".join(
            f"{name} after {tries} failed call{'s' * (tries > 1)}" for name, tries in zip(names, opened, strict=True)
        )
        print(f"  breakers opened: {told}", flush=True)
        self.hold(opened == [5, 1], f"the breakers opened after {opened} failures, not [5, 1]")

    async def heard(self) -> None:
        """Wait until no sidecar's breaker is closed without a suspicion."""
        for sidecar in self.sidecars:
            await until(sidecar.breaker, lambda numbers: numbers["state"] != "closed" or "suspected" in numbers)

    def hold(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.wrong.append(otherwise)


async def until(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> None:
    """Ask again and again until the answer is such."""
    async with asyncio.timeout(PATIENCE):
        while not holds(await ask()):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.05)


async def play(redis: Redis, shop: StandIn, story: Story) -> None:
    print(f"Two sidecars, one limit: {ALLOWED} calls an hour for each customer.", flush=True)
    await story.share("ada")
    print("The shop fails. One sidecar finds out, the other hears of it:", flush=True)
    await shop.switch(Fault(Kind.FAIL, status=503))
    await story.fail()
    await shop.switch(HEALTHY)
    for sidecar in story.sidecars:
        async with sidecar.session.post(f"http://{sidecar.at['admin']}/circuit-breakers/shop/reset"):
            pass
    print("Redis is killed. Each counts for itself, and says so:", flush=True)
    await redis.kill()
    await story.search("bob", len(story.sidecars) * ALLOWED)
    await story.limits_are("counting locally")
    print("Redis is back, and knows nothing. What the sidecars have counted still counts:", flush=True)
    await redis.start()
    await story.limits_are("ok")
    await story.search("ada", 0)
    await story.share("eve")


@asynccontextmanager
async def started(env: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """A sidecar with the example's file, killed at the end; where it listens, as its log says."""
    command = (sys.executable, "-m", "sidecar", "run", "-c", str(HERE / "sidecar.toml"))
    program = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **env}, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield await addresses(program)
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


async def addresses(sidecar: Process) -> dict[str, str]:
    """From then on nobody reads the log, and it is not waited for."""
    assert sidecar.stdout is not None
    async with asyncio.timeout(PATIENCE):
        async for line in sidecar.stdout:
            told: dict[str, str] = json.loads(line)
            if "is ready" in told["message"]:
                return told
    raise RuntimeError("the sidecar has ended")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def main() -> int:
    command = shutil.which("redis-server") or shutil.which("valkey-server")
    if command is None:
        print(NO_REDIS)
        return 2
    if not installed("redis"):
        print(NO_CLIENT)
        return 2
    async with AsyncExitStack() as on:
        redis = Redis(command, free_port(), on.enter_context(tempfile.TemporaryDirectory()))
        on.push_async_callback(redis.kill)
        await redis.start()
        shop = StandIn("shop")
        await shop.start()
        on.push_async_callback(shop.stop)
        session = await on.enter_async_context(aiohttp.ClientSession())
        env = {**ANYWHERE, "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0", "SHOP_URL": shop.url}
        sidecars = [
            Sidecar(f"sidecar {number}", await on.enter_async_context(started(env)), session) for number in (1, 2)
        ]
        story = Story(sidecars)
        for sidecar in sidecars:
            await until(sidecar.limits, lambda said: said == "ok")
        await play(redis, shop, story)
    for otherwise in story.wrong:
        print(f"This is not as the policy file says: {otherwise}.")
    if not story.wrong:
        print("All of it was as the policy file says.")
    return 1 if story.wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
