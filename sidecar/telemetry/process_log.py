"""What the process says of itself, and what foreign libraries say, in the shape of every other line.

Modules use `logging` as anywhere: `log.info("listening", extra={"fields": {"listener": "http"}})`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.telemetry.lines import Fields, Format, Timestamp
    from sidecar.telemetry.log_writer import LogWriter

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LineHandler(logging.Handler):
    """Turns records into lines. Never blocks; a record that cannot be formatted says so in its place."""

    def __init__(self, writer: LogWriter, render: Format, timestamp: Timestamp) -> None:
        super().__init__()
        self._writer = writer
        self._render = render
        self._timestamp = timestamp
        self.formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._render(self._fields(record))
        except Exception as error:  # noqa: BLE001 - a foreign record with wrong arguments costs its text, not the caller
            line = self._render(
                {"timestamp": self._timestamp.of(record.created), "level": "error",
                 "message": "a log record could not be written", "logger": record.name, "exception": repr(error)}
            )  # fmt: skip
        self._writer.write(line)

    def _fields(self, record: logging.LogRecord) -> Fields:
        fields: Fields = {
            "timestamp": self._timestamp.of(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
        }
        fields.update(record.__dict__.get("fields", {}))
        if record.exc_info and self.formatter:
            fields["exception"] = self.formatter.formatException(record.exc_info)
        return fields


def install(handler: LineHandler, level: str) -> None:
    """Make it the one handler of the process, at this level. `ValueError`: no such level."""
    root = logging.getLogger()
    for other in root.handlers[:]:
        root.removeHandler(other)
    root.addHandler(handler)
    set_level(level)
    logging.captureWarnings(True)


def set_level(level: str) -> None:
    """What is logged from now on. `ValueError`: no such level."""
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no log level; there are {', '.join(LEVELS)}")
    logging.getLogger().setLevel(LEVELS[level])
