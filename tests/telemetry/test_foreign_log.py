"""OpenTelemetry's own log lines: seldom, and no secret."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import TraceState

from sidecar.telemetry.foreign_log import SAY_AGAIN, UNREADABLE, Foreign, keep_quiet

if TYPE_CHECKING:
    from collections.abc import Iterator


class Heard:
    """The process log. `now` is its clock, seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self._filter = Foreign(lambda: self.now)

    def log(self, logger: str, text: str, *args: object) -> None:
        record = logging.LogRecord(logger, logging.WARNING, "", 0, text, args, None)
        if self._filter.filter(record):
            self.said.append(record.getMessage())


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def theirs() -> Iterator[logging.Logger]:
    """A logger as the SDK's modules make them."""
    logger = logging.getLogger("opentelemetry.sdk.something")
    yield logger
    logger.filters.clear()


def test_the_same_words_are_said_once_a_minute(heard: Heard) -> None:
    for number in range(3):
        heard.log("opentelemetry.sdk.trace", "dropped %s", number)
    heard.log("opentelemetry.sdk.trace", "another thing")
    assert heard.said == ["dropped 0", "another thing"]
    heard.now = SAY_AGAIN
    heard.log("opentelemetry.sdk.trace", "dropped %s", 3)
    assert heard.said[2:] == ["dropped 3"]


def test_what_the_delivery_says_itself_is_not_said_twice(heard: Heard) -> None:
    heard.log("opentelemetry.exporter.otlp.proto.http.trace_exporter", "Failed to export: Bearer hunter2")
    heard.log("opentelemetry.sdk._shared_internal", "Exception while exporting")
    assert heard.said == []


def test_a_header_that_cannot_be_read_is_not_repeated(heard: Heard) -> None:
    heard.log("opentelemetry.util.re", "Header format invalid! %s", "authorization hunter2")
    assert heard.said == [UNREADABLE]


@pytest.mark.parametrize(
    "sent", ["a=\xe9hunter2", "hunter2", "a=1,a=hunter2", ",".join(f"k{i}=hunter2" for i in range(40))]
)
def test_a_caller_s_trace_state_is_in_no_line(sent: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    keep_quiet()
    TraceState.from_header([sent])
    assert caplog.messages == []


def test_it_is_put_there_once(theirs: logging.Logger) -> None:
    for _ in range(2):
        keep_quiet()
    assert len(theirs.filters) == 1
    assert logging.getLogger("sidecar").filters == []


def test_its_lines_reach_the_process_log(theirs: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    keep_quiet()
    for _ in range(2):
        theirs.warning("a word that %s", "no other test says")
    assert caplog.messages == ["a word that no other test says"]
