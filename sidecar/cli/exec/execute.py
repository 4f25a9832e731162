"""`sidecar exec -- COMMAND…`: a program with a sidecar of its own, which lives as long as it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.cli.exec.child import Given, descriptors
from sidecar.cli.exec.environment import ANTHROPIC, OPENAI
from sidecar.cli.exec.listen import on_free_ports
from sidecar.cli.exec.policy import policy_from, spoken_of
from sidecar.cli.exec.program import Program
from sidecar.cli.exec.signals import signals_told
from sidecar.cli.run import loop_factory, settle_memory
from sidecar.config import load
from sidecar.config.load import VARIABLE
from sidecar.daemon import Daemon
from sidecar.errors import ConfigError
from sidecar.telemetry.log_writer import LogWriter, own_standard_streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sidecar.config import Loaded

STDERR = 2

GRACE = 2.0
"""Seconds for calls that are still under way when the program has ended: of processes that it left behind."""


def execute(config: str | None, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program beside a sidecar; its exit code (128 + N: ended by signal N), 127: not found, 126: not executable.

    `environ` is the program's. Without a policy file (`config`, else `$SIDECAR_CONFIG`; never one that happens to lie
    in the working folder) it also says where calls go. Exit code 2, and no program: the policy has mistakes. Raises
    `Trouble`.
    """
    own_standard_streams()
    named = config or environ.get(VARIABLE)
    policy = "" if named else policy_from(environ)
    base_urls = (OPENAI, ANTHROPIC) if named else tuple(one.address for one in spoken_of(environ))
    program = Program(command, environ, base_urls)
    with asyncio.Runner(loop_factory=loop_factory()) as runner, contextlib.ExitStack() as until_the_end:
        loop = runner.get_loop()
        mask = until_the_end.enter_context(
            signals_told(lambda *told: loop.call_soon_threadsafe(program.told, *told))
        )  # first of all: a signal must not end us with a file of ours left behind
        path = Path(named) if named else until_the_end.enter_context(_written(policy))
        try:
            return runner.run(_beside(load(path, os.environ), program, Given(mask, descriptors())))
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 2


@contextlib.contextmanager
def _written(policy: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sidecar-exec-") as folder:
        path = Path(folder) / "sidecar.toml"
        path.write_text(policy, encoding="utf-8")
        yield path


async def _beside(loaded: Loaded, program: Program, given: Given) -> int:
    writer = LogWriter(STDERR)
    try:
        daemon = Daemon(loaded, os.environ, writer, on_terminal=True, adjust=on_free_ports)
        await daemon.start()
    except (ConfigError, OSError) as error:
        writer.close()
        print(error if isinstance(error, ConfigError) else f"sidecar: {error.args[-1]}", file=sys.stderr)
        return 2
    settle_memory()
    serving = asyncio.create_task(daemon.run(), name="sidecar")
    try:
        return await program.run(daemon.addresses, given)
    finally:
        daemon.stop()
        await asyncio.wait({serving}, timeout=GRACE)
        daemon.stop()
        await serving
