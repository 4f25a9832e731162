"""Whether calls are traced: off until the policy file says where spans go, and then as it says.

OpenTelemetry is imported (200 ms, 20 MB) when that is first said, in a thread. What a reload takes away, and what the
process leaves, is ended in a thread of its own: a collector that hangs holds up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Protocol

from sidecar.extras import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.telemetry.observers import Telemetry
    from sidecar.telemetry.spans import Spans

log = logging.getLogger("sidecar")

LAST_SPANS = 2.0
"""Seconds at most that the end of the process waits for spans to be sent, less those for which a batch has been on its
way already: a collector that hangs has had its chance while the process drained.
"""

TURN = 0.001
"""Seconds that a thread keeps Python's lock from another one, while calls are traced. To encode a batch of 512 spans
takes 20 ms, and the loop asks for the lock after each read and write: with the 5 ms that Python gives by itself it
stood still for 20 to 28 ms at worst, with this for 1.2.
"""

RESULTS = ("exported", "failed", "dropped")


class Delivery(Protocol):
    """Traces on their way to one collector (`otlp.py`)."""

    spans: Spans
    to: str
    """Whose it is, for the log: without what an address may hold of credentials."""

    @property
    def awaited(self) -> float: ...

    def end(self) -> None: ...


class Tracing:
    """The traces of one process, into `telemetry`."""

    def __init__(self, telemetry: Telemetry, version: str) -> None:
        self._telemetry = telemetry
        self._version = version
        self._instance = str(uuid.uuid4())
        self._url = ""
        self._delivery: Delivery | None = None
        self._lock = threading.Lock()
        self._turn = sys.getswitchinterval()

    async def become(self, url: str) -> None:
        """Spans go there from now on, with no `url` nowhere. Never raises: calls go on without traces."""
        if url == self._url:
            return
        self._url = url
        made = await self._begun(url) if url else None
        before, self._delivery = self._delivery, made
        self._telemetry.spans = made.spans if made is not None else None
        if made is not None:
            sys.setswitchinterval(TURN)
            log.info("calls are traced", extra={"fields": {"otlp": made.to}})
        else:
            sys.setswitchinterval(self._turn)
        if before is not None:
            log.info("what was traced until now is sent", extra={"fields": {"otlp": before.to}})
            _end(before, _nothing)

    async def aclose(self) -> None:
        """Send what is left, for at most `LAST_SPANS`."""
        delivery, self._delivery = self._delivery, None
        self._telemetry.spans = None
        if delivery is None:
            return
        patience = LAST_SPANS - delivery.awaited
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def done() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(ended.set)

        _end(delivery, done)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(patience, 0.0)):
                await ended.wait()
        sys.setswitchinterval(self._turn)

    async def _begun(self, url: str) -> Delivery | None:
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            log.warning("calls are not traced: OTEL_SDK_DISABLED is true")
            return None
        for result in RESULTS:  # here: a scrape must not meet a family that another thread adds to
            self._telemetry.metrics.spans.child(result)
        try:
            return await asyncio.to_thread(self._make, url)
        except (ValueError, RuntimeError, OSError) as error:  # a variable of OpenTelemetry's that makes no sense
            log.error("calls are not traced: %s", error)  # noqa: TRY400 - the reason says it all
            return None

    def _make(self, url: str) -> Delivery:
        made: Delivery = load("sidecar.telemetry.otlp").Delivery(
            url, version=self._version, instance=self._instance, count=self._count
        )
        return made

    def _count(self, result: str, spans: int) -> None:
        """Of any thread: the loop's, that of the collector at hand, and that of the one before."""
        if spans > 0:
            with self._lock:
                self._telemetry.metrics.spans.child(result).value += spans


def _end(delivery: Delivery, done: Callable[[], None]) -> None:
    """In a thread that does not hold up the end of the process."""

    def end() -> None:
        delivery.end()
        done()

    threading.Thread(target=end, name="sidecar-last-spans", daemon=True).start()


def _nothing() -> None:
    """Nobody waits for it."""
