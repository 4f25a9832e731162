"""The whole example by one command: both providers, a sidecar, and a program for each SDK; then trouble.

python examples/llm-fallback/run.py

It takes about ten seconds. Exit code 1 if a question was not answered to its end. A
program whose SDK is not installed is left out, and told.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.llm_faults import HEALTHY, Fault, Kind
from sidecar.standins.openai import OpenAIStandin

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping

    from sidecar.standins.llm_provider import Provider

HERE = Path(__file__).parent
ANYWHERE = {f"SIDECAR_LISTEN_{name}": "127.0.0.1:0" for name in ("HTTP", "ADMIN")}
OWN = {"openai": "openai/gpt-4o", "anthropic": "anthropic/claude-sonnet-5-5"}
"""Who answers each SDK's program when all is well."""
QUESTION = "Is anybody there who can tell me how this will end?"
ANSWER = f"You said: {QUESTION}"
"""What the stand-ins say to it."""
PATIENCE = 30.0
"""Seconds in which anything that is waited for must have come, on a busy machine."""


class Answer(NamedTuple):
    """A line of a program's, as it prints it."""

    how: str
    model: str
    attempts: str
    request_id: str
    text: str


@dataclass
class Client:
    """One of the programs: two lines, a whole answer and a streamed one, to each question."""

    name: str
    own: str
    program: Process

    async def ask(self) -> list[Answer]:
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(f"{QUESTION}\n".encode())
        async with asyncio.timeout(PATIENCE):
            lines = [(await self.program.stdout.readline()).decode().rstrip("\n") for _ in range(2)]
        return [Answer(*line.split(" ", 4)) for line in lines]


@dataclass
class Story:
    """Asks by all programs at once, and tells who answered them."""

    clients: list[Client]
    session: aiohttp.ClientSession
    admin: str
    lost: int = 0

    async def tell(self, what: str) -> None:
        rounds = await asyncio.gather(*(client.ask() for client in self.clients))
        print(f"\n{what}", flush=True)
        for client, answers in zip(self.clients, rounds, strict=True):
            self.lost += sum(answer.text != ANSWER for answer in answers)
            words = [await self._words(answer) for answer in answers]
            print(f"  {client.name:<17} {', '.join(words)}", flush=True)

    async def trusted(self) -> None:
        """Wait until each program is answered by its own provider again."""
        async with asyncio.timeout(PATIENCE):
            for client in self.clients:
                while True:
                    if {answer.model for answer in await client.ask()} == {client.own}:
                        break
                    await asyncio.sleep(0.2)

    async def _words(self, answer: Answer) -> str:
        if answer.text != ANSWER:
            return f"{answer.how}: {answer.model} {answer.text}"
        call = await self._timeline(answer.request_id)
        if any(step["outcome"] == "broke" for step in call["steps"]):
            return f"{answer.how} begun by {answer.model}, ended by {call['upstream']}"
        after = "" if answer.attempts == "1" else f" after {answer.attempts} attempts"
        return f"{answer.how} by {answer.model}{after}"

    async def _timeline(self, request_id: str) -> dict[str, Any]:
        """The sidecar's own story of the call. It is there once the last byte has left."""
        async with asyncio.timeout(PATIENCE):
            while True:
                async with self.session.get(f"http://{self.admin}/requests/{request_id}") as reply:
                    if reply.status == 200:
                        told: dict[str, Any] = await reply.json()
                        return told
                await asyncio.sleep(0.01)


async def play(openai: Provider, anthropic: Provider, story: Story) -> None:
    """Who is in trouble when."""
    await story.tell("All is well:")
    await openai.switch(Fault(Kind.CUT, tokens=5, model="gpt-4o"))
    await anthropic.switch(Fault(Kind.CUT, tokens=5, model="claude-sonnet-5-5"))
    await story.tell("Every answer of the two models breaks off after five words:")
    await anthropic.switch(HEALTHY)
    await openai.switch(Fault(Kind.DEAD))
    await story.tell("OpenAI is away:")
    await openai.switch(HEALTHY)
    await story.trusted()
    await anthropic.switch(Fault(Kind.DEAD))
    await story.tell("Anthropic is away:")
    await anthropic.switch(HEALTHY)
    await story.trusted()
    await story.tell("Both are back:")


def programs() -> dict[str, tuple[str, str]]:
    """The command for each SDK that is installed; of the others it is told that they are left out."""
    found = {}
    for sdk in OWN:
        if importlib.util.find_spec(sdk) is None:
            print(f"{sdk} for Python is left out: {sys.executable} -m pip install {sdk}")
        else:
            found[f"{sdk}, Python"] = (sys.executable, str(HERE / f"ask_{sdk}.py"))
    if (node := shutil.which("node")) is None:
        print("The SDKs for Node are left out: there is no node here.")
    elif not (HERE / "node_modules").exists():
        print(f"The SDKs for Node are left out: npm install, in {HERE}")
    else:
        found |= {f"{sdk}, Node": (node, str(HERE / f"ask_{sdk}.mjs")) for sdk in OWN}
    return found


@asynccontextmanager
async def started(*command: str, env: Mapping[str, str]) -> AsyncIterator[Process]:
    """A program, killed at the end."""
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(*command, env={**os.environ, **env}, stdin=pipe, stdout=pipe)
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
        openai = await on.enter_async_context(OpenAIStandin(key="sk-stand-in"))
        anthropic = await on.enter_async_context(AnthropicStandin(key="sk-stand-in"))
        env = {**ANYWHERE, "OPENAI_URL": openai.api, "ANTHROPIC_URL": anthropic.api}
        command = (sys.executable, "-m", "sidecar", "run", "-c", str(HERE / "sidecar.toml"))
        at = await addresses(await on.enter_async_context(started(*command, env=env)))
        # All that the programs are told: where their provider is now. Their keys are no longer any provider's.
        env = {
            "OPENAI_BASE_URL": f"http://{at['http']}/v1",
            "OPENAI_API_KEY": "none",
            "ANTHROPIC_BASE_URL": f"http://{at['http']}",
            "ANTHROPIC_API_KEY": "none",
        }
        clients = []
        for name, program in programs().items():
            process = await on.enter_async_context(started(*program, env=env))
            clients.append(Client(name, OWN[name.partition(",")[0]], process))
        story = Story(clients, await on.enter_async_context(aiohttp.ClientSession()), at["admin"])
        await play(openai, anthropic, story)
    print(f"\n{story.lost} answers were lost." if story.lost else "\nNo answer was lost.")
    return 1 if story.lost else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
