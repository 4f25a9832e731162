"""The processes of the bench: pinned to cores, read through /proc, ended by their own pid whatever happens."""

import contextlib
import http.client
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 20.0  # an interpreter with a thousand routes to compile, on a busy machine
STOP_SECONDS = 5.0  # after SIGTERM; then SIGKILL
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class NotReadyError(Exception):
    """A process ended or did not answer in time; says what it wrote last."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: the proxy alone on one core, load and upstream on the others."""

    proxy: str
    load: str

    @classmethod
    def split(cls) -> "Cores":
        first, *rest = sorted(os.sched_getaffinity(0))
        return cls(proxy=str(first), load=",".join(map(str, rest or [first])))

    @property
    def shared(self) -> bool:
        return self.proxy == self.load


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident set in bytes: now, and the most it ever was."""

    now: int
    peak: int


class Process:
    """A running process, read without its help."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.pid = popen.pid

    def cpu_seconds(self) -> float:
        """User and system time of all its threads; a tick (10 ms) is the resolution."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def cpu_by_thread(self) -> list[tuple[str, float]]:
        threads = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            head, _, tail = (task / "stat").read_text().rpartition(")")
            fields = tail.split()
            seconds = (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
            threads.append((f"{head.partition('(')[2]} {task.name}", seconds))
        return sorted(threads, key=lambda thread: -thread[1])

    def memory(self) -> Memory:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        kib = {
            key: int(value.split()[0]) for key, _, value in (line.partition(":") for line in lines) if key[:2] == "Vm"
        }
        return Memory(now=kib["VmRSS"] * 1024, peak=kib["VmHWM"] * 1024)


def post(port: int, path: str) -> int:
    """The status of one POST. Raises OSError, HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("POST", path, body=b"{}", headers={"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


@contextlib.contextmanager
def running(
    argv: Sequence[str],
    *,
    cores: str,
    port: int,
    path: str,
    folder: Path,
    env: Mapping[str, str] | None = None,
    ask: Callable[[int, str], int] = post,
    patience: float = START_SECONDS,
) -> Iterator[Process]:
    """Starts `argv` on `cores`, waits until `ask` has 200 for `path` on `port`, at most `patience` seconds; ends it
    with the block.

    What it prints goes to files in `folder`: an access log on stdout costs what Envoy's costs in its file.
    Raises NotReadyError.
    """
    name = f"{Path(argv[0]).name}-{port}"
    out, err = folder / f"{name}.out", folder / f"{name}.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        popen = subprocess.Popen(
            ["taskset", "-c", cores, *argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # Ctrl-C reaches the bench alone, which then ends everything in order
        )
    try:
        try:
            wait_until_answered(popen, port, path, ask, patience)
        except NotReadyError as cause:
            raise NotReadyError(f"{cause}\n  command: {' '.join(argv)}\n{tail(out)}{tail(err)}") from None
        yield Process(popen)
    finally:
        end(popen)


def end(popen: subprocess.Popen[bytes]) -> None:
    popen.terminate()
    try:
        popen.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


def wait_until_answered(
    popen: subprocess.Popen[bytes], port: int, path: str, ask: Callable[[int, str], int], patience: float
) -> None:
    until = time.monotonic() + patience
    last = "nothing listened"
    while time.monotonic() < until:
        if popen.poll() is not None:
            raise NotReadyError(f"it ended with code {popen.returncode} before it answered")
        try:
            status = ask(port, path)
        except (OSError, http.client.HTTPException) as error:
            last = str(error)
        else:
            if status == 200:
                return
            last = f"status {status}"
        time.sleep(0.05)  # foreign processes: nothing tells when they listen
    raise NotReadyError(f"no good answer within {patience:.0f} s: {last}")


def tail(path: Path, lines: int = 12) -> str:
    last = path.read_text(errors="replace").splitlines()[-lines:]
    return "".join(f"  | {line}\n" for line in last)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
