"""Much of everything, in little memory: measured on a process of its own."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING

import pytest

from sidecar.standins.faults import Fault, Kind
from tests.kit.peer import listening
from tests.kit.process import Process, sidecar_process
from tests.kit.running import FREE, one, request
from tests.kit.scripted import OK, scripted
from tests.kit.standin import StandIn

if TYPE_CHECKING:
    from pathlib import Path

BIG = 1 << 30
PIECE = bytes(256 << 10)
ALLOWED = 24 << 20
"""What such a body may cost on top: marks, socket pieces, and the allocator's own habits."""
IDLE = 5000

TWO_WAYS = """
[upstreams.down]
url = "{down}"
[upstreams.up]
url = "{up}"
[routes.down]
match = {{ path = "/down" }}
chain = ["down"]
[routes.up]
match = {{ path = "/up" }}
chain = ["up"]
"""


def written(folder: Path, policy: str) -> Path:
    file = folder / "sidecar.toml"
    file.write_text(FREE + policy)
    return file


async def in_memory(sidecar: Process, growth: list[int]) -> None:
    """Looks at the process ten times a second, for as long as it is let."""
    before = sidecar.memory()
    while True:
        growth[0] = max(growth[0], sidecar.memory() - before)
        await asyncio.sleep(0.1)


async def test_a_huge_body_passes_both_ways_in_constant_memory(tmp_path: Path) -> None:
    growth = [0]
    async with StandIn(fault=Fault(Kind.HUGE, size=BIG)) as down, listening() as up:
        file = written(tmp_path, TWO_WAYS.format(down=down.url, up=up.url))
        async with sidecar_process(file) as sidecar:
            watch = asyncio.create_task(in_memory(sidecar, growth))
            caller = await sidecar.caller()
            caller.send(request("/down"))
            assert (await caller.head()).fields["content-length"] == str(BIG)
            await swallow(caller.reader, BIG)

            caller.send(b"PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % BIG)
            peer = await up.accept()
            await peer.request()
            async with asyncio.TaskGroup() as both:
                both.create_task(swallow(peer.reader, BIG))
                both.create_task(pour(caller.writer, BIG))
            peer.say(OK)
            assert (await caller.answer()).body == b"ok"
            watch.cancel()
            await caller.close()
    assert growth[0] < ALLOWED


async def swallow(reader: asyncio.StreamReader, size: int) -> None:
    while size:
        size -= len(await reader.read(len(PIECE)))


async def pour(writer: asyncio.StreamWriter, size: int) -> None:
    for _ in range(size // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()


@pytest.fixture
def many_descriptors() -> None:
    """As many as the system gives this process; the test itself holds the callers' ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= IDLE + 1000, "5,000 connections need a higher limit of file descriptors (ulimit -Hn)"
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.mark.usefixtures("many_descriptors")
async def test_thousands_of_idle_connections_do_not_keep_one_from_being_served(tmp_path: Path) -> None:
    async with scripted() as upstream:
        file = written(tmp_path, one(upstream.url, more=f"[limits]\nmax_connections = {IDLE + 100}\n"))
        async with sidecar_process(file) as sidecar:
            before = sidecar.memory()
            loop = asyncio.get_running_loop()
            idle: list[asyncio.Transport] = []
            while len(idle) < IDLE:
                made = await asyncio.gather(
                    *(loop.create_connection(asyncio.Protocol, "127.0.0.1", sidecar.port) for _ in range(250))
                )
                idle += [transport for transport, _ in made]
            caller = await sidecar.caller()
            caller.send(request("/"))
            assert (await caller.answer()).body == b"ok"
            assert (sidecar.memory() - before) / IDLE < 16 << 10
            for transport in idle:
                assert not transport.is_closing()
                transport.abort()
            await caller.close()
