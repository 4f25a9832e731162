"""Puts telemetry together: what `[telemetry]` says, and where the lines go."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from sidecar.telemetry.access_log import AccessLog
from sidecar.telemetry.events import Events
from sidecar.telemetry.lines import FORMATS, Timestamp
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.observers import Telemetry
from sidecar.telemetry.process_log import LineHandler, install
from sidecar.telemetry.timeline import Timeline

if TYPE_CHECKING:
    from sidecar.telemetry.access_log import Which
    from sidecar.telemetry.log_writer import LogWriter


def telemetry_to(
    writer: LogWriter,
    *,
    version: str,
    log_format: str = "json",
    access_log: Which = True,
    access_log_sample: float = 1.0,
    max_series: int = 10_000,
) -> Telemetry:
    """Telemetry of this process, its lines to `writer`. Metrics start at nothing."""
    timestamp = Timestamp()
    return Telemetry(
        Metrics(version=version, max_series=max_series, dropped=lambda: writer.dropped),
        access_log_to(writer, log_format=log_format, access_log=access_log, access_log_sample=access_log_sample),
        Timeline(time.time, timestamp),
        Events(timestamp),
    )


def access_log_to(
    writer: LogWriter, *, log_format: str = "json", access_log: Which = True, access_log_sample: float = 1.0
) -> AccessLog:
    """An access log for `Telemetry.access_log`: a reload may put another one there."""
    return AccessLog(
        writer, FORMATS[log_format], Timestamp(), random.random, which=access_log, sample=access_log_sample
    )


def process_log_to(writer: LogWriter, *, log_format: str = "json", log_level: str = "info") -> None:
    """Send what the process and its libraries log to `writer`. `ValueError`: no such level."""
    # A timestamp of its own: records may come from other threads (under the handler's lock).
    install(LineHandler(writer, FORMATS[log_format], Timestamp()), log_level)
