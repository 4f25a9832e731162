"""What OpenTelemetry's SDK logs of itself, in the process log, and not often.

Its exporter says each failed try, and what cannot be read of `OTEL_EXPORTER_OTLP_HEADERS` with the value, which is
somebody's key. That spans are lost is said by `otlp.py`; of a header only that it cannot be read. What it says of a
caller's `tracestate` repeats that, and nobody here could mend it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SAY_AGAIN = 60.0
"""Seconds between two lines of the same words."""

NAME = "opentelemetry"
SAID_BY_US = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
OF_CALLERS = "opentelemetry.trace.span"
SECRETIVE = "opentelemetry.util.re"
UNREADABLE = "a header in OTEL_EXPORTER_OTLP_HEADERS cannot be read: it is to be NAME=VALUE"


class Foreign(logging.Filter):
    """What may pass of their records. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == OF_CALLERS or record.name.startswith(SAID_BY_US):
            return False
        if record.name == SECRETIVE:
            record.msg, record.args = UNREADABLE, ()
        said, now = (record.name, record.msg), self._clock()
        if now - self._said.get(said, float("-inf")) < SAY_AGAIN:
            return False
        self._said[said] = now  # templates of the SDK's: there are few
        return True


def keep_quiet() -> None:
    """From now on, of all their loggers. A logger's filter does not hear its children, so that each has it."""
    known = logging.root.manager.loggerDict
    theirs = [logging.getLogger(name) for name in list(known) if name == NAME or name.startswith(NAME + ".")]
    heard = next((one for logger in theirs for one in logger.filters if isinstance(one, Foreign)), None) or Foreign()
    for logger in theirs:
        logger.addFilter(heard)  # once: it is the same one
