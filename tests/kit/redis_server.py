r"""A real Redis for the length of a test, in memory, on a port of its own; it can be killed, stopped and begun again.

async with redis_server() as redis:
    policy = f'[redis]\nurl = "{redis.url}"\n…'
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.kit.addresses import free_port
from tests.kit.caller import PATIENCE
from tests.kit.tools import tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class RedisServer:
    """It holds nothing on disk: begun again it is empty."""

    port: int
    folder: str
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self, *options: str) -> None:
        """With more lines of its configuration, as options (`--maxmemory 1mb`). It answers when this returns."""
        command = [
            str(tool("redis-server")), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--dir", self.folder, *options,
        ]  # fmt: skip
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(PATIENCE):
            while not await self._answer("PING"):  # one with a password answers that it has one
                assert self._process.returncode is None, "redis-server did not start"
                await asyncio.sleep(0.01)

    async def ask(self, *words: str) -> str:
        """The first line of what it answers to a command, as it is on the wire (`+OK`, `:1`, `-ERR …`, `$5`)."""
        return await self._answer(*words)

    def freeze(self) -> None:
        """It goes on to hold its connections, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Killed: its port refuses connections, as after a crash."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def _answer(self, *words: str) -> str:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return ""
        try:
            told = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
            writer.write(f"*{len(words)}\r\n{told}".encode())
            async with asyncio.timeout(PATIENCE):
                return (await reader.readline()).decode().rstrip("\r\n")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def redis_server(*options: str) -> AsyncIterator[RedisServer]:
    """One that answers; killed at the end, if it still runs."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(free_port(), folder)
        try:
            await server.start(*options)
            yield server
        finally:
            await server.stop()
