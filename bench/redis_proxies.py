"""One sidecar three times: without a rate limit, with one of its own, and with one that is counted in Redis."""

import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from bench.load import PATH
from bench.process import Process, free_port, running
from bench.proxies import Place, policy_file

Kind = Literal["none", "local", "shared"]
KINDS: dict[Kind, str] = {"none": "no limit", "local": "local limit", "shared": "shared limit"}


@dataclass(frozen=True, slots=True)
class Redis:
    """One that runs. `port` is where."""

    port: int
    process: Process

    def decisions(self) -> int:
        """How often it has run a script since its start."""
        found = re.search(r"cmdstat_evalsha:calls=(\d+)", _told(self.port, b"INFO commandstats\r\n"))
        return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class Limited:
    """The bench's sidecar with this kind of limit, which never refuses."""

    kind: Kind
    redis: int

    @property
    def name(self) -> str:
        return KINDS[self.kind]

    @contextmanager
    def up(self, place: Place) -> Iterator[tuple[Process, int]]:
        port = free_port()
        config = place.folder / f"sidecar-{self.kind}.toml"
        config.write_text(self.policy())
        argv = [sys.executable, "-m", "sidecar", "run", "-c", str(config)]
        env = {"BENCH_LISTEN": f"127.0.0.1:{port}", "BENCH_UPSTREAM": f"http://127.0.0.1:{place.upstream}"}
        with running(argv, cores=place.cores.proxy, port=port, path=PATH, folder=place.folder, env=env) as process:
            yield process, port

    def policy(self) -> str:
        """bench/sidecar.toml with another limit."""
        line = next(line for line in policy_file(1).splitlines() if line.startswith("rate_limit"))
        changed = {"none": "", "local": line, "shared": line.replace(" }", ', store = "redis" }')}[self.kind]
        store = f'\n[redis]\nurl = "redis://127.0.0.1:{self.redis}/0"\n' if self.kind == "shared" else ""
        return policy_file(1).replace(line, changed) + store


def find_redis() -> str | None:
    return shutil.which("redis-server") or shutil.which("valkey-server")


@contextmanager
def redis_server(binary: str, place: Place) -> Iterator[Redis]:
    """In memory, on the cores of the load: in a fleet it is another machine's work."""
    port = free_port()
    argv = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(place.folder)]
    with running(argv, cores=place.cores.load, port=port, path="", folder=place.folder, ask=_ping) as process:
        yield Redis(port, process)


def _ping(port: int, _: str) -> int:
    return 200 if _told(port, b"PING\r\n").startswith("+PONG") else 503


def _told(port: int, command: bytes) -> str:
    """The answer to an inline command, up to 64 KiB."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(command + b"QUIT\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer.decode(errors="replace")
