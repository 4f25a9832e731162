"""Provider and callers of the LLM rows in one process: `python bench/llm_load.py PROVIDER_PORT CONTROL_PORT`.

They live together because the provider's next event waits until the caller has the last one. A line of JSON to the
control port is an order; the line that comes back tells what came of it.
"""

import asyncio
import gc
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import uvloop

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import llm_words as words
from bench.llm_callers import Asked, call
from bench.llm_provider import Provider, Streams
from bench.load import Load
from bench.process import NotReadyError, free_port, post, running
from bench.proxies import Place

PATIENCE = 180.0
"""Seconds for the answers that are under way when time is up."""


@dataclass(frozen=True, slots=True)
class Order:
    """One load. With `together`, each connection asks once, and no stream goes on before all have begun."""

    port: int
    model: str
    stream: bool
    connections: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    together: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it: the load, a wrong answer if there was any, events that had to be pushed."""

    load: Load
    wrong: str
    pushed: int


@dataclass(frozen=True, slots=True)
class Loader:
    """The process, from outside."""

    upstream: int
    control: int

    def load(self, order: Order) -> Told:
        """Raises NotReadyError when the load did not end."""
        with socket.create_connection(("127.0.0.1", self.control), timeout=order.seconds + PATIENCE + 10) as connection:
            connection.sendall(json.dumps(asdict(order)).encode() + b"\n")
            try:
                line = connection.makefile().readline()
            except TimeoutError:
                line = ""
        if not line:
            raise NotReadyError(f"the load on port {order.port} did not end")
        told = json.loads(line)
        return Told(Load(**told["load"]), told["wrong"], told["pushed"])


@contextmanager
def loader(place: Place) -> Iterator[Loader]:
    """Starts it beside the upstream's cores."""
    upstream, control = free_port(), free_port()
    argv = [sys.executable, __file__, str(upstream), str(control)]
    with running(argv, cores=place.cores.load, port=upstream, path=words.PATH, folder=place.folder, ask=post):
        yield Loader(upstream, control)


async def carry_out(order: Order, streams: Streams) -> dict[str, Any]:
    began = time.monotonic()
    asked = Asked(order.model, order.stream, order.headers, 0.0 if order.together else began + order.seconds)
    streams.barrier = order.connections if order.together else 0
    pushed = streams.pushed
    try:
        async with asyncio.timeout(order.seconds + PATIENCE):
            await call(order.port, order.connections, asked, streams)
    except (TimeoutError, OSError) as error:
        asked.errors += order.connections
        asked.wrong = asked.wrong or repr(error)
    cuts = quantiles(asked.times, n=100) if len(asked.times) > 1 else [float("nan")] * 99
    seconds = time.monotonic() - began
    load = Load(asked.requests, seconds, asked.errors, cuts[49] * 1e6, cuts[98] * 1e6)
    return {"load": asdict(load), "wrong": asked.wrong, "pushed": streams.pushed - pushed}


async def main(provider: int, control: int) -> None:
    loop = asyncio.get_running_loop()
    streams = Streams()

    async def ordered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        order = Order(**json.loads(await reader.readline()))
        writer.write(json.dumps(await carry_out(order, streams)).encode() + b"\n")
        writer.close()

    await asyncio.start_server(ordered, "127.0.0.1", control)
    server = await loop.create_server(lambda: Provider(streams), "127.0.0.1", provider, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    gc.freeze()
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
