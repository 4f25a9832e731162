"""Signals to `sidecar exec`: a program has each of them once."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.kit.commands import SIDECAR
from tests.kit.executed import PATIENCE, bare, executed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TELLS = """
import signal
heard = {getattr(signal, "SIG" + name) for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH")}
signal.pthread_sigmask(signal.SIG_BLOCK, heard)
print("here", flush=True)
number = 0
while number != signal.SIGUSR2:
    number = signal.sigwait(heard)
    print(signal.Signals(number).name, flush=True)
raise SystemExit(5)
"""
PASSED = [
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH,
    signal.SIGUSR2,
]  # fmt: skip
"""A program may take SIGTERM as it likes: another one is passed on again."""


async def test_each_signal_is_passed_on_and_the_program_decides(tmp_path: Path) -> None:
    async with executed(sys.executable, "-c", TELLS, folder=tmp_path, OPENAI_API_KEY="sk-1") as program:
        assert await program.line() == "here"
        for number in PASSED:
            program.process.send_signal(number)
            assert await program.line() == number.name
        assert await program.ended() == (5, "", "")


async def test_a_signal_that_ends_the_program_is_told_as_a_shell_does(tmp_path: Path) -> None:
    async with executed("sh", "-c", "echo here; exec sleep 60", folder=tmp_path, OPENAI_API_KEY="sk-1") as program:
        assert await program.line() == "here"
        program.process.send_signal(signal.SIGTERM)
        assert await program.ended() == (143, "", "")


async def test_ctrl_c_is_not_told_twice(tmp_path: Path) -> None:
    """The terminal tells both; a `kill` tells the sidecar alone, on a terminal too."""
    async with on_a_terminal(tmp_path) as (process, terminal):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"here\n"
        terminal.write(b"\x03")
        assert await process.stdout.readline() == b"SIGINT\n"
        process.send_signal(signal.SIGUSR1)  # what follows the first is behind a second one, if there were one
        assert await process.stdout.readline() == b"SIGUSR1\n"
        process.send_signal(signal.SIGINT)
        assert await process.stdout.readline() == b"SIGINT\n"
        process.send_signal(signal.SIGUSR2)
        assert (await process.communicate())[0] == b"SIGUSR2\n"
        assert process.returncode == 5


async def test_a_window_that_is_closed_ends_the_program_in_it(tmp_path: Path) -> None:
    """`xterm -e sidecar exec …`: the terminal tells the sidecar alone, which leads its session."""
    async with on_a_terminal(tmp_path) as (process, terminal):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"here\n"
        terminal.close()
        assert await process.stdout.readline() == b"SIGHUP\n"
        process.send_signal(signal.SIGUSR2)
        await process.communicate()
        assert process.returncode == 5


@asynccontextmanager
async def on_a_terminal(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, io.FileIO]]:
    """`sidecar exec` as the first process of a terminal, which stands beside it; stdout is a pipe to the test."""
    ours, theirs = pty.openpty()
    takes = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", takes, SIDECAR, "exec", sys.executable, "-c", TELLS, cwd=folder,
        env=bare(OPENAI_API_KEY="sk-1"), stdin=theirs, stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        async with asyncio.timeout(PATIENCE):
            with io.FileIO(ours, "r+") as terminal:
                yield process, terminal
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()
