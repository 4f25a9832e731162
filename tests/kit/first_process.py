"""Process 1 of a container: a command in a PID namespace of its own, where it is the one that nobody looks after.

The kernel drops what such a process is sent and has no handler for, and leaves it every orphan.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_OWN = ("unshare", "--user", "--map-root-user", "--mount-proc", "--pid", "--fork", "--kill-child")


@cache
def _may() -> str:
    """Why it cannot be done here; empty if it can."""
    if shutil.which("unshare") is None:
        return "there is no unshare on this machine"
    tried = subprocess.run([*_OWN, "true"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    return tried.stderr.strip() if tried.returncode else ""


@asynccontextmanager
async def first_process(*command: str) -> AsyncIterator[FirstProcess]:
    """It runs as process 1, with stdout and stderr as one pipe; what is left of its namespace ends with the test."""
    if why := _may():
        said = f"no PID namespace can be had here: {why}"
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(said)
        pytest.skip(said)
    outside = await asyncio.create_subprocess_exec(
        *_OWN, *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield FirstProcess(outside)
    finally:
        if outside.returncode is None:
            outside.kill()
        await outside.communicate()


class FirstProcess:
    """`outside` is who made the namespace: it ends as process 1 does."""

    def __init__(self, outside: asyncio.subprocess.Process) -> None:
        self.outside = outside

    @property
    def pid(self) -> int:
        """Process 1 by the number that we know it by."""
        children = Path(f"/proc/{self.outside.pid}/task/{self.outside.pid}/children").read_text().split()
        return int(children[0])

    async def line(self) -> str:
        assert self.outside.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self.outside.stdout.readline()).decode().rstrip()

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.outside.wait()
