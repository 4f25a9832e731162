"""`sidecar run` as process 1 of a container, where a signal that nobody handles is dropped by the kernel."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.kit.caller import PATIENCE
from tests.kit.commands import SIDECAR
from tests.kit.first_process import first_process
from tests.kit.running import FREE, one

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "sidecar.toml"
    file.write_text(FREE + one("http://127.0.0.1:9"))
    return file


@pytest.fixture
def slow_file(tmp_path: Path) -> Path:
    file = tmp_path / "slow.toml"
    os.mkfifo(file)
    return file


async def opened_to_be_read(pipe: Path) -> int:
    """The pipe's other end, once somebody has opened it: nothing tells when."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                await asyncio.sleep(0.02)


async def test_sigterm_drains_and_ends_with_0(file: Path) -> None:
    async with first_process(SIDECAR, "run", "-c", str(file)) as first:
        while "is ready" not in (line := await first.line()):
            assert line, "it ended"
        os.kill(first.pid, signal.SIGTERM)
        while "drain" not in (line := await first.line()):
            assert line, "it ended without a word"
        assert orjson.loads(line)["level"] == "info"
        os.kill(first.pid, signal.SIGTERM)
        assert await first.ended() == 0


async def test_sigterm_ends_it_while_it_still_starts(slow_file: Path) -> None:
    """Otherwise it would be lost, and whoever stops the container would wait for the whole grace period."""
    async with first_process(SIDECAR, "run", "-c", str(slow_file)) as first:
        writing = await opened_to_be_read(slow_file)
        os.kill(first.pid, signal.SIGTERM)
        assert await first.ended() == 128 + signal.SIGTERM
        os.close(writing)
