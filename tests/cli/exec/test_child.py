"""A program as a process: what it is given, and how its end is told."""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.exec.child import Given, descriptors, spawn

if TYPE_CHECKING:
    from pathlib import Path


async def ended(*command: str, blocked: frozenset[int] = frozenset(), limit: int = 0) -> int:
    return await spawn(command, os.environ, Given(blocked, limit or descriptors())).ended()


async def test_its_exit_code_is_told() -> None:
    assert await ended("sh", "-c", "exit 0") == 0
    assert await ended("sh", "-c", "exit 7") == 7


async def test_a_signal_that_ended_it_is_told_as_a_shell_does() -> None:
    child = spawn(["sleep", "60"], os.environ, Given((), descriptors()))
    child.tell(signal.SIGTERM)
    assert await child.ended() == 128 + signal.SIGTERM
    child.tell(signal.SIGTERM)  # its number may be another's by now


async def test_it_has_the_terminal_of_its_process_group() -> None:
    child = spawn(["sleep", "60"], os.environ, Given((), descriptors()))
    assert child.shares_our_terminal()
    child.tell(signal.SIGKILL)
    assert await child.ended() == 128 + signal.SIGKILL
    leaves = "import os, sys, time; os.setpgid(0, 0); os.write(int(sys.argv[1]), b'left'); time.sleep(60)"
    told, tells = os.pipe()
    os.set_inheritable(tells, True)
    child = spawn([sys.executable, "-c", leaves, str(tells)], os.environ, Given((), descriptors()))
    assert os.read(told, 4) == b"left"  # as an interactive shell does
    assert not child.shares_our_terminal()
    os.close(told)
    os.close(tells)
    child.tell(signal.SIGKILL)
    assert await child.ended() == 128 + signal.SIGKILL
    assert not child.shares_our_terminal()


def test_what_is_not_there_and_what_is_no_program(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("x")
    for command in ("no-such-program", str(tmp_path / "nothing"), ""):
        with pytest.raises(FileNotFoundError):
            spawn([command], os.environ, Given((), descriptors()))
    for place in (text, tmp_path):
        with pytest.raises(PermissionError):
            spawn([str(place)], os.environ, Given((), descriptors()))
    text.chmod(0o755)
    with pytest.raises(OSError, match="Exec format error"):
        spawn([str(text)], os.environ, Given((), descriptors()))


async def test_it_has_the_descriptors_of_the_user_and_none_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    """A shell passes files by number: `sidecar exec -- diff <(a) <(b)`."""
    ours, given = os.pipe()
    os.set_inheritable(given, True)
    names = "import os; print(*[fd for fd in map(int, os.listdir('/proc/self/fd')) if os.path.exists(f'/dev/fd/{fd}')])"
    assert await ended(sys.executable, "-c", names) == 0
    os.close(ours)
    os.close(given)
    theirs = {int(name) for name in capfd.readouterr().out.split()}
    assert {0, 1, 2, given} <= theirs
    assert ours not in theirs


async def test_signals_and_limits_are_those_that_we_were_started_with(capfd: pytest.CaptureFixture[str]) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    facts = ("grep", "-hE", "SigBlk|SigIgn|open files", "/proc/self/status", "/proc/self/limits")
    assert await ended(*facts, blocked=frozenset({signal.SIGUSR2}), limit=123) == 0
    _, blocked, _, ignored, _, _, _, limit, *_ = capfd.readouterr().out.split()
    assert limit == "123"
    assert int(blocked, 16) == 1 << (signal.SIGUSR2 - 1)
    assert int(ignored, 16) & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)) == 0
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
