"""What signals do to a sidecar."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sidecar.daemon import Daemon, handle_signals
from tests.kit.running import one, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def handled(daemon: Daemon) -> Iterator[None]:
    handle_signals(daemon)
    try:
        yield
    finally:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)


async def test_a_storm_of_hangups_is_two_reloads() -> None:
    """The second reads what was there when the last of them came. 200 at 1,000 routes kept it busy for 45 s."""
    async with running(one("http://127.0.0.1:1")) as sidecar:
        with handled(sidecar.daemon):
            for _ in range(20):
                os.kill(os.getpid(), signal.SIGHUP)
            text = sidecar.file.read_text()
            sidecar.file.write_text(text + "idempotent = true\n")
            await sidecar.log.line(lambda line: line.get("generation") == 3)
            assert sidecar.runtime.settings.routes["r"].idempotent
            assert (await sidecar.daemon.reload())["generation"] == 4
