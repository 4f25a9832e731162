"""`sidecar exec` as process 1 of a container: it is told to stop, and it buries what its program leaves behind."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.kit.commands import SIDECAR
from tests.kit.first_process import first_process

if TYPE_CHECKING:
    import pytest

# An orphan is left to process 1, ends, and is gone from the table; a process that nobody waits for would stay there
# as a zombie. The loop ends by itself if it never goes: `timeout` of the test is longer.
ORPHAN = """
orphan=$(sh -c 'sleep 0.01 >/dev/null & echo $!')
tries=0
while [ -e /proc/$orphan ]; do
  tries=$((tries + 1))
  [ $tries -lt 500 ] || { grep State /proc/$orphan/status; exit 1; }
  sleep 0.01
done
echo buried
exit 7
"""


async def test_orphans_are_buried_and_the_exit_code_is_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    async with first_process(SIDECAR, "exec", "--", "sh", "-c", ORPHAN) as first:
        assert await first.line() == "buried"
        assert await first.ended() == 7


async def test_sigterm_reaches_the_program_though_nothing_does_so_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    program = "trap 'echo told; exit 3' TERM; echo up; while :; do sleep 0.05; done"
    async with first_process(SIDECAR, "exec", "--", "sh", "-c", program) as first:
        assert await first.line() == "up"
        os.kill(first.pid, signal.SIGTERM)
        assert await first.line() == "told"
        assert await first.ended() == 3
