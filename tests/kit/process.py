"""`sidecar run` as a process of its own, told what to do by signals and read by its log."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tests.kit.caller import PATIENCE, Caller
from tests.kit.commands import ROOT, SIDECAR

if TYPE_CHECKING:
    import signal
    import ssl
    from collections.abc import AsyncIterator


@dataclass
class Process:
    """A sidecar that runs. `port` is its http listener's, `addresses` those of all."""

    process: asyncio.subprocess.Process
    port: int = 0
    addresses: dict[str, str] = field(default_factory=dict)
    client_tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"http://{self.addresses['http']}"

    @property
    def grpc(self) -> str:
        return self.addresses["grpc"]

    @property
    def admin(self) -> str:
        return f"http://{self.addresses['admin']}"

    async def line(self, message: str) -> dict[str, Any]:
        """The next log line with these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stdout.readline():
                said: dict[str, Any] = orjson.loads(line)
                if message in said["message"]:
                    return said
        raise AssertionError(f"it ended without saying {message!r}")

    async def caller(self) -> Caller:
        return await Caller.connect(self.port)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    def memory(self) -> int:
        """Bytes of it that are in memory (RSS)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """How many it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@asynccontextmanager
async def sidecar_process(policy: Path, *, stdout: int = asyncio.subprocess.PIPE) -> AsyncIterator[Process]:
    """A process with this policy file, killed at the end if it still runs. Ready, if its stdout is a pipe to us."""
    process = await asyncio.create_subprocess_exec(
        SIDECAR, "run", "-c", str(policy), cwd=ROOT, stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout, stderr=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    running = Process(process)
    try:
        if stdout == asyncio.subprocess.PIPE:
            ready = await running.line("is ready")
            running.port = int(ready["http"].rpartition(":")[2])
            running.addresses = {name: ready[name] for name in ("http", "grpc", "admin", "probe") if name in ready}
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
