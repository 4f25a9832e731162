"""`sidecar demo`: the daemon with stand-ins for upstreams, and traffic to watch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.run import loop_factory
from sidecar.config import load
from sidecar.daemon import Daemon, handle_signals
from sidecar.standins.demo import Demo
from sidecar.telemetry.log_writer import LogWriter, own_standard_streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.config import Loaded

USUAL = {"http": "127.0.0.1:7070", "grpc": "127.0.0.1:7071", "admin": "127.0.0.1:7072"}
STDERR = 2


def demo(seconds: float | None) -> int:
    """Show a sidecar at work until Ctrl-C, or for `seconds`; the exit code."""
    own_standard_streams()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_demo(seconds))


async def _demo(seconds: float | None) -> int:
    show = Demo(_say)
    policy = await show.start(*(_address(f"SIDECAR_LISTEN_{name.upper()}", usual) for name, usual in USUAL.items()))
    try:
        # The file is there as long as the sidecar is: it may be asked to read it again.
        with tempfile.TemporaryDirectory(prefix="sidecar-demo-") as folder:
            path = Path(folder) / "sidecar.toml"
            path.write_text(policy, encoding="utf-8")
            return await _run(show, load(path, os.environ), seconds)
    finally:
        await show.stop()


async def _run(show: Demo, loaded: Loaded, seconds: float | None) -> int:
    daemon = Daemon(loaded, os.environ, LogWriter(STDERR), on_terminal=True)
    try:
        await daemon.start()
    except OSError as error:
        print(f"sidecar: {error.args[-1]}", file=sys.stderr)
        return 2
    http, rpc, admin = (daemon.addresses[name] for name in USUAL)
    playing = asyncio.create_task(show.play(f"http://{http}", rpc, f"http://{admin}", seconds), name="traffic")
    with _stopped_by_signals(playing), contextlib.suppress(asyncio.CancelledError):
        await playing
    # The traffic has ended before the sidecar does; a signal now ends that at once.
    daemon.stop()
    handle_signals(daemon)
    await daemon.run()
    return 0


@contextlib.contextmanager
def _stopped_by_signals(task: asyncio.Task[None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM cancel the task. (On Windows asyncio itself hears Ctrl-C.)"""
    loop = asyncio.get_running_loop()
    numbers = () if sys.platform == "win32" else (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    yield
    for number in numbers:
        loop.remove_signal_handler(number)


def _address(variable: str, usual: str) -> str:
    """What the environment says; else the usual address, or any free port where that is taken."""
    if variable in os.environ:
        return os.environ[variable]
    host, _, port = usual.rpartition(":")
    with socket.socket() as probe:
        if os.name == "posix":  # a port that was let go a moment ago is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return f"{host}:0"
    return usual


def _say(line: str) -> None:
    print(line, flush=True)
