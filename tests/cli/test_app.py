"""The commands as typed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sidecar import __version__
from tests.kit.commands import SIDECAR


def sidecar(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SIDECAR, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_help_lists_the_commands() -> None:
    done = sidecar("--help")
    assert done.returncode == 0
    for command in ("run", "demo", "check", "schema"):
        assert command in done.stdout


def test_the_version() -> None:
    assert sidecar("--version").stdout == f"sidecar {__version__}\n"


@pytest.mark.parametrize("arguments", [["walk"], ["run", "--fast"], ["check", "a", "b"]])
def test_bad_usage_is_exit_code_2(arguments: list[str]) -> None:
    done = sidecar(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "schema"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("{")
