"""wrk, pinned away from the proxy: one POST of 300 bytes over and over, on connections that stay open."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PATH = "/api/v1/pricing/quote"
SIZE = 300


def padded(start: str) -> str:
    """A JSON object of SIZE bytes that begins with the members in `start`."""
    head, end = f'{{{start}, "note": "', '"}'
    return head + "x" * (SIZE - len(head) - len(end)) + end


SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nBENCH {"requests": %%d, "micros": %%d, "errors": %%d, "p50": %%d, "p99": %%d}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw in one run; `errors` counts lost connections, time-outs and statuses of 400 and above."""

    requests: int
    seconds: float
    errors: int
    p50: float
    """Microseconds."""
    p99: float
    """Microseconds."""


class Drive(Protocol):
    def __call__(self, port: int, *, seconds: float, connections: int, cores: str, folder: Path) -> Load: ...


def drive(port: int, *, seconds: float, connections: int, cores: str, folder: Path) -> Load:
    """Loads `port` for `seconds` and tells what came of it."""
    script = folder / "post.lua"
    script.write_text(SCRIPT % padded('"items": [1, 2, 3], "currency": "EUR"'))
    url = f"http://127.0.0.1:{port}{PATH}"
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url]
    ran = subprocess.run(
        ["taskset", "-c", cores, *wrk], capture_output=True, text=True, check=True, timeout=seconds + 30
    )
    line = next(line for line in ran.stdout.splitlines() if line.startswith("BENCH "))
    told = json.loads(line.removeprefix("BENCH "))
    return Load(told["requests"], told["micros"] / 1e6, told["errors"], told["p50"], told["p99"])
