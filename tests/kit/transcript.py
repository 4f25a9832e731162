"""A document's commands, typed into a shell in order, and what it says they print.

A page is a session: each fenced `sh` block is typed as it stands, and every line of
a `text` or `json` block behind it must have been printed. `…` in such a line stands
for what differs from run to run, and blanks in a row count as one: our ports are
longer than the page's, which moves the columns of a table.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.kit.addresses import free_port
from tests.kit.commands import PYTHON, ROOT, answers

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

_FENCE = re.compile(r"^```(sh|text|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BACKGROUND = re.compile(r"^(?:\.venv/bin/)?(?:sidecar run|python -m sidecar\.standins).*&$", re.MULTILINE)
_PORTS = ("7070", "7071", "7072", "9902", "9001", "9002", "9101", "9102", "8080", "8081", "50051", "50052")
_WRITTEN = re.compile(rf"\b(?:{'|'.join(_PORTS)})\b")
_TOLD = re.compile(r"--(port|control) (\d+)")
_LISTEN = """[listen]
http = "127.0.0.1:7070"
grpc = "127.0.0.1:7071"
admin = "127.0.0.1:7072"

"""
_FILE = re.compile(r"(cat > first\.toml <<'END'\n)")
_BLANKS = re.compile(r"(?:\\ )+")
_DONE = "this block is done"

PATIENCE = 90.0
"""Seconds that a block has on a busy machine; left to itself the longest takes a tenth."""


class Block(NamedTuple):
    """A command, and the lines that must be in what it prints."""

    command: str
    shown: list[str]


def blocks(document: Path) -> list[Block]:
    """The session of a page. Output stands behind the command that prints it."""
    found: list[Block] = []
    for kind, text in _FENCE.findall(document.read_text()):
        if kind == "sh":
            found.append(Block(text, []))
        else:
            found[-1].shown.extend(text.splitlines())
    return found


class Terminal:
    """A shell in a folder of its own, on ports of its own."""

    def __init__(self, shell: Process, folder: Path, ports: dict[str, str]) -> None:
        self._shell = shell
        self._folder = folder
        self._ports = ports

    async def type(self, block: Block) -> str:
        """Run the block; what was printed. It must succeed and print what the page shows."""
        printed = await self._run(self._here(block.command))
        for line in filter(str.strip, block.shown):
            pattern = ".*".join(re.escape(part) for part in self._here(line).strip().split("…"))
            pattern = _BLANKS.sub(" +", pattern)
            assert re.search(pattern, printed), f"{block.command}\nshould print\n{line}\nbut prints\n{printed}"
        for command in _BACKGROUND.findall(block.command):
            await self._started(command)
        return printed

    def place(self, *names: str) -> None:
        """Copies of these files of the project, where they stand in it, with our ports."""
        for name in names:
            copy = self._folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(self._here((ROOT / name).read_text()))

    async def _run(self, command: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{command}echo {_DONE} $?\n".encode())
        printed: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while _DONE not in (line := (await self._shell.stdout.readline()).decode()):
                assert line, "the shell has ended"
                printed.append(line)
        head, _, code = line.partition(_DONE)  # a reply may end without a line break
        text = "".join(printed) + head
        assert code.strip() == "0", f"{command}\nended with {code}\n{text}"
        return text

    async def _started(self, command: str) -> None:
        ports = dict(_TOLD.findall(command))
        port = ports.get("control") or ports.get("port")  # where a stand-in tells how it is
        path = f"{self._ports[port]}/_fault" if port else f"{self._ports['7072']}/readyz"
        await answers(f"http://127.0.0.1:{path}")

    def _here(self, text: str) -> str:
        """With our ports; a `first.toml` that leaves the listeners to their defaults gets ours."""
        if "[listen]" not in text:
            text = _FILE.sub(lambda match: match[1] + _LISTEN, text)
        return _WRITTEN.sub(lambda match: self._ports[match[0]], text)


@asynccontextmanager
async def terminal(folder: Path) -> AsyncIterator[Terminal]:
    """A shell as a reader has it in the project's folder. What it started ends with it."""
    (folder / ".venv").symlink_to(Path(PYTHON).parent.parent)
    ports = {port: str(free_port()) for port in _PORTS}
    shell = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        # Commands ask the usual port, which is another one here.
        env={**os.environ, "PYTHONPATH": str(ROOT), "SIDECAR_ADMIN": f"http://127.0.0.1:{ports['7072']}"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield Terminal(shell, folder, ports)
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        await shell.communicate()
