"""How gRPC's C core is told to run, and that it does."""

from __future__ import annotations

import os
import subprocess
import sys

from sidecar.cli.grpc_core import SETTINGS, prepare

SERVER = """
import asyncio
import grpc.aio

async def main():
    grpc.aio.server()

asyncio.run(main())
"""


def test_what_somebody_has_set_stands() -> None:
    environ = {"GRPC_VERBOSITY": "INFO"}
    prepare(environ)
    assert environ == {**SETTINGS, "GRPC_VERBOSITY": "INFO"}


def test_the_core_that_is_installed_knows_the_switches() -> None:
    """It tells of an experiment that it does not know; the day it does, the setting has had its time."""
    environ = {**os.environ, **SETTINGS, "GRPC_VERBOSITY": "INFO"}
    done = subprocess.run(
        [sys.executable, "-c", SERVER], env=environ, capture_output=True, text=True, timeout=30, check=True
    )
    assert "Unknown experiment" not in done.stderr
