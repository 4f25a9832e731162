"""`sidecar exec` as a process of its own, in an environment that speaks of nothing but what a test says."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.kit.commands import SIDECAR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PATIENCE = 30.0
"""Seconds in which a process must have done what it is to do, on a busy machine."""

_SPOKEN = re.compile(r"(OPENAI|ANTHROPIC|SIDECAR)_.*|.*_proxy", re.IGNORECASE)


def bare(**more: str) -> dict[str, str]:
    """The present environment without keys, addresses and proxies, and with these variables."""
    return {**{name: value for name, value in os.environ.items() if not _SPOKEN.fullmatch(name)}, **more}


class Executed:
    """A `sidecar exec` that runs. Its standard streams are pipes to the test, or what it was told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self, *, error: bool = False) -> str:
        """The next line on its stdout or, `error`, on its stderr; empty when it has ended."""
        stream = self.process.stderr if error else self.process.stdout
        assert stream is not None
        async with asyncio.timeout(PATIENCE):
            return (await stream.readline()).decode().rstrip("\n")

    async def logged(self, message: str) -> str:
        """The next line of the log with these words."""
        while line := await self.line(error=True):
            if message in line:
                return line
        raise AssertionError(f"it ended without saying {message!r}")

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())

    async def ended(self, text: str = "") -> tuple[int, str, str]:
        """Its exit code, and what else it wrote to stdout and stderr. `text` is the last that it reads."""
        async with asyncio.timeout(PATIENCE):
            out, err = await self.process.communicate(text.encode() if self.process.stdin else None)
        assert self.process.returncode is not None
        return self.process.returncode, (out or b"").decode(), (err or b"").decode()


@asynccontextmanager
async def executed(
    *arguments: str, folder: Path, stdin: int = asyncio.subprocess.PIPE, **environ: str
) -> AsyncIterator[Executed]:
    """`sidecar exec` with these arguments, killed at the end if it still runs. `environ` are further variables."""
    process = await asyncio.create_subprocess_exec(
        SIDECAR, "exec", *arguments, cwd=folder, env=bare(**environ), stdin=stdin,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 20,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield Executed(process)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # its program, too
            await process.communicate()
