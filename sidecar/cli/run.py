"""`sidecar run`: the daemon in the foreground."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.config import Loaded, find, load
from sidecar.daemon import Daemon, handle_signals
from sidecar.errors import ConfigError
from sidecar.telemetry.log_writer import LogWriter, own_standard_streams

if TYPE_CHECKING:
    from collections.abc import Callable

STDOUT = 1


def run(config: str | None) -> int:
    """Serve until a signal ends it; the exit code."""
    own_standard_streams()
    try:
        path = find(config, os.environ, Path.cwd())
        if path is None:
            print("sidecar: there is no policy file: name one with -c; 'sidecar init' writes one here", file=sys.stderr)
            return 2
        loaded = load(path, os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(loaded))


async def _serve(loaded: Loaded) -> int:
    writer = LogWriter(STDOUT)
    daemon = Daemon(loaded, os.environ, writer, on_terminal=sys.stdin is not None and sys.stdin.isatty())
    try:
        await daemon.start()
    except (OSError, ssl.SSLError) as error:
        writer.close()
        print(f"sidecar: {error.args[-1]}", file=sys.stderr)
        return 2
    handle_signals(daemon)
    settle_memory()
    await daemon.run()
    return 0


def settle_memory() -> None:
    """What is here at the start stays: the collector need not look at it again.

    A call makes no cycles, so looking rarely is enough; looking often took 7 % of a call's CPU time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Uvloop where there is one: it halves the CPU time of a call. Windows has none."""
    if sys.platform == "win32":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop
