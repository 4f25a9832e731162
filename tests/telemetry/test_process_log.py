"""What the process and its libraries say comes out in the shape of every other line."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.telemetry.lines import Timestamp, as_text
from sidecar.telemetry.log_writer import LogWriter
from sidecar.telemetry.process_log import LineHandler, install, set_level
from sidecar.telemetry.start import process_log_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def boil() -> None:
    raise RuntimeError("the boiler")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def said(root: logging.Logger) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Everything that was logged since the test began; ask once."""
    reader, end = os.pipe()
    writer = LogWriter(end)
    os.close(end)
    process_log_to(writer)

    def lines() -> list[dict[str, Any]]:
        writer.close()
        return [json.loads(line) for line in os.read(reader, 1 << 20).splitlines()]

    yield lines
    writer.close()
    os.close(reader)


def test_a_record_is_one_object_with_its_fields(said: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("sidecar").info("listening on %s", "http", extra={"fields": {"address": "127.0.0.1:7070"}})
    (line,) = said()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info", "message": "listening on http", "logger": "sidecar", "address": "127.0.0.1:7070",
    }  # fmt: skip


def test_a_traceback_stays_in_its_line(said: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        boil()
    except RuntimeError:
        logging.getLogger("asyncio").exception("it broke")
    (line,) = said()
    assert "RuntimeError: the boiler" in line["exception"]
    assert (line["level"], line["logger"]) == ("error", "asyncio")


def test_a_record_that_cannot_be_formatted_says_so(said: Callable[[], list[dict[str, Any]]]) -> None:
    (ours,) = (handler for handler in logging.getLogger().handlers if isinstance(handler, LineHandler))
    ours.handle(logging.LogRecord("foreign", logging.WARNING, __file__, 1, "%d apples", ("many",), None))
    (line,) = said()
    assert (line["message"], line["logger"]) == ("a log record could not be written", "foreign")


def test_what_json_cannot_say_is_written_all_the_same(said: Callable[[], list[dict[str, Any]]]) -> None:
    # Past pytest's own handler: pytest-xdist cannot pass on a report that has heard it.
    handler = next(one for one in logging.getLogger().handlers if isinstance(one, LineHandler))
    fields = {"path": b"bytes", "set": frozenset()}
    handler.handle(logging.makeLogRecord({"name": "sidecar", "msg": "file \udcff", "fields": fields}))
    (line,) = said()
    assert line["path"] == "b'bytes'"
    assert line["set"] == "frozenset()"


def test_warnings_are_log_lines(said: Callable[[], list[dict[str, Any]]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old hat", DeprecationWarning, stacklevel=1)
    (line,) = said()
    assert "old hat" in line["message"]


def test_the_level_can_be_moved(said: Callable[[], list[dict[str, Any]]]) -> None:
    log = logging.getLogger("sidecar")
    log.debug("no")
    set_level("debug")
    log.debug("yes")
    set_level("error")
    log.warning("no more")
    assert [line["message"] for line in said()] == ["yes"]


def test_a_level_that_does_not_exist_is_refused(root: logging.Logger) -> None:
    with pytest.raises(ValueError, match="debug, info, warning, error"):
        set_level("loud")


def test_for_people_a_traceback_follows_its_line(root: logging.Logger) -> None:
    written: list[bytes] = []

    class Lines:
        def write(self, line: bytes) -> None:
            written.append(line)

    handler = LineHandler(Lines(), as_text, Timestamp())  # type: ignore[arg-type]  # the one method that is used
    install(handler, "info")
    try:
        boil()
    except RuntimeError:
        logging.getLogger("sidecar").exception("it\nbroke")
    first, *rest = b"".join(written).splitlines()
    assert first.endswith(b"ERROR   it\\x0abroke logger=sidecar")
    assert rest[-1] == b"RuntimeError: the boiler"


def test_closed_standard_streams_are_occupied() -> None:
    program = (
        "import os, sys; from sidecar.telemetry.log_writer import own_standard_streams; own_standard_streams();"
        "sys.stderr.write(os.readlink('/proc/self/fd/1') if os.path.exists('/proc/self') else os.devnull)"
    )
    shell = ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, program]
    assert subprocess.run(shell, stderr=subprocess.PIPE, check=True, timeout=30).stderr.decode() == os.devnull
