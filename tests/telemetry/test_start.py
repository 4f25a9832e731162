"""Telemetry put together as the policy file says."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

import pytest

from sidecar.telemetry.log_writer import LogWriter
from sidecar.telemetry.start import access_log_to, process_log_to, telemetry_to
from tests.kit.finished_calls import finished_call, summary

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[int, LogWriter]]:
    """Where lines come out, and the writer that puts them there."""
    reader, end = os.pipe()
    writer = LogWriter(end)
    os.close(end)
    yield reader, writer
    writer.close()
    os.close(reader)


def lines(ends: tuple[int, LogWriter]) -> list[bytes]:
    ends[1].close()
    return os.read(ends[0], 1 << 20).splitlines()


def test_calls_and_the_process_write_to_one_stream(ends: tuple[int, LogWriter]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        process_log_to(ends[1], log_level="warning")
        telemetry = telemetry_to(ends[1], version="1")
        logging.getLogger("sidecar").warning("watch out")
        telemetry.route("things").finished(finished_call(), summary())
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
    assert [json.loads(line)["message"] for line in lines(ends)] == ["watch out", "call finished"]


def test_a_reload_may_change_what_is_logged_of_calls(ends: tuple[int, LogWriter]) -> None:
    telemetry = telemetry_to(ends[1], version="1", access_log="errors")
    watch = telemetry.route("things")
    watch.finished(finished_call(), summary())
    telemetry.access_log = access_log_to(ends[1], log_format="console")
    watch.finished(finished_call(), summary())
    (line,) = lines(ends)
    assert b"INFO    call finished" in line


def test_lost_lines_are_a_metric(ends: tuple[int, LogWriter]) -> None:
    telemetry = telemetry_to(ends[1], version="1")
    ends[1].close()
    telemetry.route("things").finished(finished_call(), summary())
    assert b"\nsidecar_log_dropped_total 1.0\n" in telemetry.metrics.exposition("")[1]
