"""A program that cannot be started, and signals that come before it is."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.exec.child import Given, descriptors
from sidecar.cli.exec.program import Program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ADDRESSES = {"http": "127.0.0.1:4001", "grpc": "127.0.0.1:4002", "admin": "127.0.0.1:4003"}


def program(*command: str) -> Program:
    return Program(command, os.environ, ())


async def run(started: Program) -> int:
    return await started.run(ADDRESSES, Given((), descriptors()))


async def test_it_finds_the_sidecar(capfd: pytest.CaptureFixture[str]) -> None:
    assert await run(program("sh", "-c", "echo $SIDECAR_HTTP $SIDECAR_GRPC; exit 3")) == 3
    assert capfd.readouterr() == ("http://127.0.0.1:4001 127.0.0.1:4002\n", "")


async def test_what_is_not_there_is_127(capfd: pytest.CaptureFixture[str]) -> None:
    assert await run(program("no-such-program", "--flag")) == 127
    assert capfd.readouterr() == ("", "sidecar: no-such-program: command not found\n")


async def test_what_cannot_be_executed_is_126(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert await run(program(str(tmp_path))) == 126
    assert capfd.readouterr() == ("", f"sidecar: {tmp_path}: cannot be executed: Permission denied\n")


@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGINT], 130), ([signal.SIGTERM, signal.SIGINT], 143), ([signal.SIGWINCH], 0)],
)
async def test_a_signal_before_its_start_ends_us_instead(signals: Sequence[int], code: int) -> None:
    """Ctrl-C in the half second in which the sidecar starts. A window that changes its size ends nobody."""
    early = program("true")
    for number in signals:
        early.told(number, from_terminal=number == signal.SIGINT)
    assert await run(early) == code
