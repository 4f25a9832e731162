"""What one line per call says, which calls get one, and what it never says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.telemetry.access_log import LONGEST_PATH, AccessLog, Which
from sidecar.telemetry.lines import Timestamp, as_json, as_text
from tests.kit.finished_calls import finished_call, summary

if TYPE_CHECKING:
    from sidecar.telemetry.lines import Format

WALL = 1_790_000_000.25


class Lines:
    """Takes lines as a `LogWriter` does and keeps them."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.written.append(line)

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written]


def access_log(
    lines: Lines, *, which: Which = True, sample: float = 1.0, chance: float = 0.5, render: Format = as_json
) -> AccessLog:
    return AccessLog(
        lines,  # type: ignore[arg-type]  # the writer's one method that is used
        render,
        Timestamp(lambda: WALL),
        lambda: chance,
        which=which,
        sample=sample,
    )


def test_a_finished_call_is_one_object() -> None:
    lines = Lines()
    access_log(lines).write(finished_call(), summary(seconds=0.0215))
    assert lines.objects() == [
        {
            "timestamp": "2026-09-21T14:13:20.250Z",
            "level": "info",
            "message": "call finished",
            "correlation_id": "corr-req-1",
            "request_id": "req-1",
            "protocol": "http",
            "method": "POST",
            "path": "/v1/things",
            "route": "things",
            "upstream": "store",
            "attempts": 1,
            "status_code": 200,
            "outcome": "ok",
            "duration_ms": 21.5,
            "ttfb_ms": 10.75,
            "bytes_in": 24,
            "bytes_out": 12,
        }
    ]
    assert lines.written[0].endswith(b"}\n")
    assert lines.written[0].count(b"\n") == 1


def test_keys_bodies_and_queries_are_never_logged() -> None:
    for render in (as_json, as_text):
        lines = Lines()
        access_log(lines, render=render).write(finished_call(status=503), summary(outcome="server_error"))
        assert b"hunter2" not in lines.written[0]


def test_the_trace_id_stands_where_there_is_one() -> None:
    lines, call = Lines(), finished_call()
    call.traceparent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    access_log(lines).write(call, summary())
    assert lines.objects()[0]["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_a_reply_that_broke_off_is_a_warning_whatever_its_status() -> None:
    lines = Lines()
    broken = summary()
    broken.outcome = "broke"
    access_log(lines).write(finished_call(), broken)
    assert lines.objects()[0]["level"] == "warning"


@pytest.mark.parametrize(("status", "level"), [(200, "info"), (404, "info"), (503, "warning"), (0, "info")])
def test_the_level_follows_the_status(status: int, level: str) -> None:
    lines = Lines()
    access_log(lines).write(finished_call(status=status), summary())
    (line,) = lines.objects()
    assert (line["level"], line["status_code"]) == (level, status or 499)


@pytest.mark.parametrize(
    ("code", "level"),
    [("OK", "info"), ("NOT_FOUND", "info"), ("CANCELLED", "info"), ("RESOURCE_EXHAUSTED", "info"),
     ("UNKNOWN", "warning"), ("DEADLINE_EXCEEDED", "warning"), ("UNIMPLEMENTED", "warning"), ("INTERNAL", "warning"),
     ("UNAVAILABLE", "warning"), ("DATA_LOSS", "warning")],
)  # fmt: skip
def test_of_a_grpc_call_the_code_stands_instead_of_the_status(code: str, level: str) -> None:
    lines = Lines()
    access_log(lines).write(finished_call(path=b"/shop.v1.Cart/Add", code=code), summary())
    (line,) = lines.objects()
    assert (line["protocol"], line["method"], line["path"]) == ("grpc", "POST", "/shop.v1.Cart/Add")
    assert (line["grpc_code"], line["level"], "status_code" in line) == (code, level, False)


def test_a_grpc_caller_that_left_cancelled_its_call() -> None:
    lines = Lines()
    access_log(lines).write(finished_call(code=""), summary(outcome="caller_left"))
    assert lines.objects()[0]["grpc_code"] == "CANCELLED"


@pytest.mark.parametrize(("code", "outcome", "written"), [("OK", "ok", False), ("NOT_FOUND", "client_error", True)])
def test_only_errors_over_grpc(code: str, outcome: str, written: bool) -> None:
    lines = Lines()
    access_log(lines, which="errors").write(finished_call(code=code), summary(outcome=outcome))
    assert bool(lines.written) is written


def test_an_ugly_path_stays_inside_its_line_and_its_bound() -> None:
    for render in (as_json, as_text):
        lines = Lines()
        path = b'/\x1b[2J\r\n{"level":"forged"}\xff' + b"a" * 100_000
        access_log(lines, render=render).write(finished_call(path=path), summary())
        assert lines.written[0].count(b"\n") == 1
        assert b"\x1b" not in lines.written[0]
        assert len(lines.written[0]) < LONGEST_PATH + 1000


def test_switched_off_it_writes_nothing() -> None:
    lines = Lines()
    access_log(lines, which=False).write(finished_call(status=500), summary(outcome="server_error"))
    assert lines.written == []


@pytest.mark.parametrize(
    ("status", "outcome", "attempts", "written"),
    [(200, "ok", 1, False), (200, "ok", 3, False), (404, "client_error", 1, True), (0, "caller_left", 1, True),
     (200, "broke", 1, True)],
)  # fmt: skip
def test_only_errors(status: int, outcome: str, attempts: int, written: bool) -> None:
    lines = Lines()
    log = access_log(lines, which="errors")
    log.write(finished_call(status=status, attempts=attempts), summary(outcome=outcome))
    assert bool(lines.written) is written


@pytest.mark.parametrize(
    ("status", "attempts", "seconds", "chance", "written"),
    [(200, 1, 0.02, 0.05, True), (200, 1, 0.02, 0.5, False), (500, 1, 0.02, 0.5, True), (200, 2, 0.02, 0.5, True),
     (200, 1, 1.0, 0.5, True)],
)  # fmt: skip
def test_a_sample_keeps_errors_retries_and_slow_calls(
    status: int, attempts: int, seconds: float, chance: float, written: bool
) -> None:
    lines = Lines()
    log = access_log(lines, sample=0.1, chance=chance)
    log.write(finished_call(status=status, attempts=attempts), summary(seconds=seconds))
    assert bool(lines.written) is written


def test_for_people_it_is_one_short_line() -> None:
    lines = Lines()
    access_log(lines, render=as_text).write(finished_call(), summary())
    assert lines.written[0].startswith(b"14:13:20.250 INFO    call finished correlation_id=corr-req-1 ")
    assert b" status_code=200 outcome=ok " in lines.written[0]
