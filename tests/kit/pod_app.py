"""The application's container of a pod: it calls through the sidecar in every way there is, until it is told to end.

Then it finishes: it goes on calling for a while, hangs up, says how it went (one line of JSON; `done_at` is a moment
before it hung up) and ends. With `stubborn` it hears no SIGTERM. Nothing of it knows of kubelets, nor that a sidecar
might be ending, too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass

import orjson

from tests.kit.telling import EVENTS
from tests.kit.traffic import Bidi, Events, Fresh, Http, Rpc, WebSocket, traffic

KINDS = (Http, Fresh, Events, WebSocket, Rpc, Bidi)
MORE = EVENTS + 1
"""Things that each caller gets after SIGTERM, before it hangs up at the end of a call: the stream of that moment to its
end, and another one.
"""


@dataclass(frozen=True)
class Sidecar:
    """Where the manifest says that it is."""

    url: str
    grpc: str
    client_tls: None = None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


async def main() -> None:
    told = asyncio.Event()
    if "stubborn" not in sys.argv:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sidecar = Sidecar(os.environ["SIDECAR_HTTP"], os.environ["SIDECAR_GRPC"])
    async with traffic(sidecar, KINDS) as callers:
        say("app is ready")
        await told.wait()
        before = callers.calls()
        await callers.turn(MORE)
        done_at = time.monotonic()
    report = {
        "calls": callers.calls(),
        "after": callers.calls() - before,
        "done_at": done_at,
        "failures": callers.failures(),
        "generations": sorted({each.generation for each in callers.said.served}),
        "policies": sorted({each.policy for each in callers.said.served}),
    }
    say(orjson.dumps(report).decode())


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
