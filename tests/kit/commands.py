"""What the documents tell people to type, and processes to type it against."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

ROOT = Path(__file__).parent.parent.parent
PYTHON = sys.executable
SIDECAR = str(Path(PYTHON).with_name("sidecar"))
"""The installed command: what a user types."""
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shell_blocks(document: Path) -> list[str]:
    """The text of each fenced `sh` block, in order."""
    return [match[1] for match in FENCE.finditer(document.read_text())]


@asynccontextmanager
async def process(*command: str, env: Mapping[str, str] | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program, killed at the end if it has not ended: draining is tested elsewhere, and takes its time."""
    running = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, **(env or {})}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.communicate()


async def shell(script: str) -> str:
    """What a POSIX shell prints for `script`, which must succeed."""
    running = await asyncio.create_subprocess_exec(
        "sh", "-euc", script, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await running.communicate()
    assert running.returncode == 0, f"{script}\n{out.decode()}\n{err.decode()}"
    return out.decode()


async def answers(url: str, seconds: float = PATIENCE) -> None:
    """Return once a GET of `url` is answered with 200; nothing tells a stranger earlier that a process listens."""
    async with aiohttp.ClientSession() as caller, asyncio.timeout(seconds):
        while True:
            try:
                async with caller.get(url) as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientConnectorError:
                pass
            await asyncio.sleep(0.02)
