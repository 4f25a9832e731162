"""h2load, pinned away from the proxy: one unary gRPC call of 60 bytes over and over."""

import re
import subprocess
from pathlib import Path
from statistics import quantiles

from bench.load import Load

METHOD = "/bench.Echo/Call"
MESSAGE = b"x" * 60
FRAMED = b"\0" + len(MESSAGE).to_bytes(4, "big") + MESSAGE
"""As gRPC puts it on the wire: not compressed, its length, itself."""
STREAMS = 8
"""Calls at a time on one connection."""
_DONE = re.compile(r"requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_BYTES = re.compile(r"\((\d+)\) data")


def drive(port: int, *, seconds: float, connections: int, cores: str, folder: Path) -> Load:
    """Loads `port` with `connections` calls at a time (8 to a real connection) and tells what came of it.

    h2load does not look at `grpc-status`, but a call that failed has no message: a reply whose bytes are missing is
    an error. Calls on their way at the end can hide as many.
    """
    message, log = folder / "message", folder / "h2load.log"
    message.write_bytes(FRAMED)
    log.unlink(missing_ok=True)
    seconds = max(1, round(seconds))
    streams = min(STREAMS, connections)
    words = [
        "h2load", f"-D{seconds}", f"-c{connections // streams}", f"-m{streams}", f"-d{message}", f"--log-file={log}",
        "-H", "content-type: application/grpc", "-H", "te: trailers", f"http://127.0.0.1:{port}{METHOD}",
    ]  # fmt: skip
    ran = subprocess.run(
        ["taskset", "-c", cores, *words], capture_output=True, text=True, check=True, timeout=seconds + 30
    )
    counts, received = _DONE.search(ran.stdout), _BYTES.search(ran.stdout)
    if counts is None or received is None:
        raise ValueError(f"h2load said something else: {ran.stdout[-500:]}")
    done, _, *failures = map(int, counts.groups())
    answered = int(received[1]) // len(FRAMED)
    p50, p99 = _percentiles(log)
    return Load(done, float(seconds), max(sum(failures), done - answered, 0 if done else 1), p50, p99)


def _percentiles(log: Path) -> tuple[float, float]:
    """Of the microseconds in the third column."""
    times = [int(line.split("\t")[2]) for line in log.read_text().splitlines()]
    if len(times) < 2:
        return float("nan"), float("nan")
    cuts = quantiles(times, n=100)
    return cuts[49], cuts[98]
