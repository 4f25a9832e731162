"""The whole example by one command: stand-ins, a sidecar, both clients; then c-gateway is killed, the Router, both.

python examples/beamline/run.py

Each line tells what came back to the clients since the line before; it takes about ten
seconds. Exit code 1 if a decide was lost that one of the two could have answered, or
refused in any other way than the policy file says.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.standins.c_gateway import CGateway
from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from sidecar.standins.c_gateway_limits import Limits
from sidecar.standins.c_gateway_router import Mode
from sidecar.standins.grpc_faults import HEALTHY, Fault, Kind
from sidecar.standins.router import StandIn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable

HERE = Path(__file__).parent
ANYWHERE = {f"SIDECAR_LISTEN_{name}": "127.0.0.1:0" for name in ("HTTP", "GRPC", "ADMIN")}
EACH = 100
"""Answers of each client between two lines of the story."""
WELL_DONE = {"200", "OK"}
PATIENCE = 30.0
"""Seconds in which anything that is waited for must have come, on a busy machine."""


@dataclass
class Client:
    """One of the two programs, and what it was answered since the last line of the story."""

    name: str
    program: Process
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    last: str = ""
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """A line for each answer: STATUS UPSTREAM TEXT."""
        assert self.program.stdout is not None
        async for line in self.program.stdout:
            status, self.last, _ = line.decode().split(" ", 2)
            self.answers[status, self.last] += 1
            self.heard.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.heard.clear()
                await self.heard.wait()

    def refused(self) -> int:
        return sum(count for (status, _), count in self.answers.items() if status not in WELL_DONE)

    def lost(self) -> int:
        """Refused otherwise than by the last link of the chain."""
        return self.refused() - self.answers["503", "static"] - self.answers["UNAVAILABLE", "static"]

    def __str__(self) -> str:
        return f"{self.name}: " + ", ".join(
            f"{count} by {by}" if status in WELL_DONE else f"{count} {status} by {by}"
            for (status, by), count in self.answers.most_common()
        )


@dataclass
class Story:
    """Tells how it went between two calls of `tell`."""

    clients: list[Client]
    lost: int = 0

    async def tell(self, what: str, *, nobody_left: bool = False) -> None:
        """Wait for `EACH` answers of both clients, and count them. With `nobody_left` clear errors are no loss."""
        for client in self.clients:
            await client.until(lambda client=client: client.answers.total() >= EACH)  # type: ignore[misc]  # its own one
        asked = sum(client.answers.total() for client in self.clients)
        refused = sum(client.refused() for client in self.clients)
        lost = sum(client.lost() for client in self.clients) if nobody_left else refused
        self.lost += lost
        verdict = f"{refused} of {asked} refused" if nobody_left else f"{lost} of {asked} lost"
        http, grpc = map(str, self.clients)
        print(f"{what:<22} {verdict:<19}  {http:<37} {grpc}", flush=True)
        for client in self.clients:
            client.answers.clear()

    async def trusted(self) -> None:
        """Wait until each client is answered by its own service again; what comes meanwhile is not counted."""
        for client, own in zip(self.clients, ("c-gateway", "router"), strict=True):
            await client.until(lambda client=client, own=own: client.last == own)  # type: ignore[misc]  # its own ones
        for client in self.clients:
            client.answers.clear()


async def play(gateway: CGateway, router: StandIn, story: Story) -> None:
    """Who dies when."""
    await story.tell("all is well:")
    await gateway.switch(GatewayFault(GatewayKind.DEAD))
    await story.tell("c-gateway is killed:")
    await gateway.switch(WELL)
    await story.tell("c-gateway is back:")
    await story.trusted()
    await router.switch(Fault(Kind.DEAD))
    await story.tell("the Router is killed:")
    await gateway.switch(GatewayFault(GatewayKind.DEAD))
    await story.tell("both are killed:", nobody_left=True)
    await gateway.switch(WELL)
    await router.switch(HEALTHY)
    await story.trusted()
    await story.tell("both are back:")


@asynccontextmanager
async def started(*command: str, env: dict[str, str] | None = None) -> AsyncIterator[Process]:
    """A Python program, killed at the end."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, *command, env={**os.environ, **(env or {})}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield program
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


async def addresses(sidecar: Process) -> dict[str, str]:
    """Where it listens, as its log says; from then on nobody reads it, and the log is not waited for."""
    assert sidecar.stdout is not None
    async with asyncio.timeout(PATIENCE):
        async for line in sidecar.stdout:
            told: dict[str, str] = json.loads(line)
            if "is ready" in told["message"]:
                return told
    raise RuntimeError("the sidecar has ended")


async def main() -> int:
    async with AsyncExitStack() as on:
        gateway = await on.enter_async_context(CGateway(mode=Mode.ROUTER, limits=Limits(decide=1_000_000)))
        router = await on.enter_async_context(StandIn())
        env = {**ANYWHERE, "C_GATEWAY_URL": gateway.url, "ROUTER_URL": f"grpc://{router.target}"}
        command = ("-m", "sidecar", "run", "-c", str(HERE / "sidecar.toml"))
        at = await addresses(await on.enter_async_context(started(*command, env=env)))
        clients = []
        for name, file, listener in (("HTTP", "decide_http.py", "http"), ("gRPC", "decide_grpc.py", "grpc")):
            options = ("--sidecar", at[listener], "--count", "1000000", "--pause", "0.005")
            program = await on.enter_async_context(started(str(HERE / file), *options))
            clients.append(Client(name, program))
        listening = [asyncio.create_task(client.listen()) for client in clients]
        story = Story(clients)
        try:
            await play(gateway, router, story)
        finally:
            for task in listening:
                task.cancel()
    print(f"\n{story.lost} decides were lost that could have been answered." if story.lost else "\nNone was lost.")
    return 1 if story.lost else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
