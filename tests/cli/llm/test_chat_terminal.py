"""`sidecar chat` as a person has it: a process on a terminal."""

from __future__ import annotations

import asyncio
import os
import pty
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.standins.llm_answers import Answer
from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.caller import PATIENCE
from tests.kit.commands import ROOT, SIDECAR
from tests.kit.llm_commands import Place, place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CTRL_C, CTRL_D = b"\x03", b"\x04"


@dataclass
class Terminal:
    """What a person sees and types."""

    process: asyncio.subprocess.Process
    fd: int
    screen: bytes = b""

    async def sees(self, text: str) -> bytes:
        """Wait for it; what was shown up to there, since the last time."""
        async with asyncio.timeout(PATIENCE):
            while text.encode() not in self.screen:
                assert await self._more(), f"it ended without showing {text!r}: {self.screen!r}"
        before, found, self.screen = self.screen.partition(text.encode())
        return before + found

    async def ended(self) -> int:
        """Its exit code. A terminal shows all that comes until then: the system waits for that."""
        async with asyncio.timeout(PATIENCE):
            while await self._more():
                pass
            return await self.process.wait()

    async def stopped(self) -> int:
        """Its exit code after Ctrl-C at the prompt.

        Python's readline does not hear one that comes between the prompt and the wait for the first key, and a second
        one could come into the end. So it is pressed once, when the process sleeps: behind the prompt that is the wait.
        """
        async with asyncio.timeout(PATIENCE):
            while not self._sleeps():  # noqa: ASYNC110 - what is waited for is no event
                await asyncio.sleep(0.01)
        self.types(CTRL_C)
        return await self.ended()

    def _sleeps(self) -> bool:
        """It waits for something: its state, which stands behind its name (proc(5))."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"

    async def _more(self) -> bool:
        """Something more is shown; False when nobody is left to show anything."""
        loop = asyncio.get_running_loop()
        came = loop.create_future()
        loop.add_reader(self.fd, came.set_result, None)
        try:
            await came
        finally:
            loop.remove_reader(self.fd)
        try:
            self.screen += os.read(self.fd, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        return True

    def types(self, keys: str | bytes) -> None:
        os.write(self.fd, keys if isinstance(keys, bytes) else keys.encode() + b"\r")


@asynccontextmanager
async def chatting(p: Place, *arguments: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIDECAR_")}
    environ = {**clean, **p.environ, "TERM": "xterm", "INPUTRC": os.devnull}
    try:
        process = await asyncio.create_subprocess_exec(
            SIDECAR, "chat", *arguments, cwd=ROOT, env=environ, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True, preexec_fn=_takes_the_terminal,
        )  # fmt: skip
    finally:
        os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


def _takes_the_terminal() -> None:
    """So that Ctrl-C on it is a signal for this process."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))


async def test_a_conversation_ends_with_ctrl_d() -> None:
    async with place() as p, chatting(p) as terminal:
        await terminal.sees("smart through http://127.0.0.1:")
        await terminal.sees("> ")
        terminal.types("hi there")
        await terminal.sees("You said: hi there")
        shown = await terminal.sees("> ")
        assert b"by openai/gpt-4o, 1 attempt, " in shown
        assert b"\x1b[2mby" in shown  # dim
        terminal.types(CTRL_D)
        assert await terminal.ended() == 0


async def test_ctrl_c_stops_an_answer_and_at_the_prompt_the_conversation() -> None:
    async with place() as p, chatting(p) as terminal:
        p.openai.script(Answer("one two three", fault=Fault(Kind.STALL, tokens=2, delay=PATIENCE)))
        await terminal.sees("> ")
        terminal.types("count")
        await terminal.sees("one two")
        terminal.types(CTRL_C)
        await terminal.sees("Stopped. The conversation is as it was before.")
        async with asyncio.timeout(PATIENCE):
            await p.openai.left.wait()  # the call is cancelled, up to the provider
        await terminal.sees("> ")
        terminal.types("go on")
        await terminal.sees("You said: go on")
        await terminal.sees("> ")
        assert [message["content"] for message in p.openai.requests[-1].document["messages"]] == ["go on"]
        assert await terminal.stopped() == 130
        assert b"Traceback" not in terminal.screen


async def test_an_answer_cannot_move_the_cursor() -> None:
    async with place() as p, chatting(p, "-m", "smart") as terminal:
        p.openai.script(Answer(["\x1b[2J\x1b]0;mine", "\x07 für €"]))
        await terminal.sees("> ")
        terminal.types("hi")
        shown = await terminal.sees("by openai")
        assert rb"\x1b[2J\x1b]0;mine\x07 " in shown
        assert "für €".encode() in shown
        assert b"\x1b[2J" not in shown
        terminal.types("/exit")
        assert await terminal.ended() == 0
