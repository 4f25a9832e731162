"""What is remembered of the last calls."""

from __future__ import annotations

import pytest

from sidecar.call import Step
from sidecar.telemetry.lines import Timestamp
from sidecar.telemetry.timeline import LONGEST_SHOWN, Timeline
from tests.kit.finished_calls import finished_call, summary


def timeline(kept: int = 1000) -> Timeline:
    return Timeline(lambda: 1_790_000_000.0, Timestamp(), kept)


def test_the_timeline_tells_each_step_and_why_the_next_came() -> None:
    calls = timeline()
    steps = [
        Step("attempt", "store", "timeout", 0.0, 2.0, why="retry: timeout"),
        Step("wait", "store", "backoff", 2.0, 0.1),
        Step("attempt", "store", "ok", 2.1, 0.4, status=200),
    ]
    calls.add(finished_call(attempts=2), summary(seconds=2.5, steps=steps))
    found = calls.find("req-1")
    assert found
    assert found["started"] == "2026-09-21T14:13:17.500Z"
    assert (found["method"], found["path"], found["attempts"], found["seconds"]) == ("POST", "/v1/things", 2, 2.5)
    assert found["steps"] == [
        {
            "kind": "attempt",
            "target": "store",
            "outcome": "timeout",
            "at": 0.0,
            "seconds": 2.0,
            "why": "retry: timeout",
        },
        {"kind": "wait", "target": "store", "outcome": "backoff", "at": 2.0, "seconds": 0.1},
        {"kind": "attempt", "target": "store", "outcome": "ok", "at": 2.1, "seconds": 0.4, "status_code": 200},
    ]
    assert "hunter2" not in str(found)


def test_of_a_grpc_call_codes_stand_instead_of_statuses() -> None:
    calls = timeline()
    steps = [
        Step("attempt", "gateway", "server_error", 0.0, 0.1, status=503),
        Step("attempt", "router", "aborted", 0.1, 0.1, status=200, code="ABORTED"),
    ]
    calls.add(finished_call(path=b"/shop.v1.Cart/Add", code="ABORTED"), summary(outcome="aborted", steps=steps))
    found = calls.find("req-1")
    assert found
    assert (found["protocol"], found["path"], found["grpc_code"]) == ("grpc", "/shop.v1.Cart/Add", "ABORTED")
    assert "status_code" not in found
    assert (found["steps"][0]["status_code"], "grpc_code" in found["steps"][0]) == (503, False)
    assert (found["steps"][1]["grpc_code"], "status_code" in found["steps"][1]) == ("ABORTED", False)


def test_a_grpc_caller_that_left() -> None:
    calls = timeline()
    calls.add(finished_call(code=""), summary(outcome="caller_left"))
    found = calls.find("req-1")
    assert found
    assert (found["protocol"], found["grpc_code"]) == ("grpc", "CANCELLED")


def test_the_timeline_finds_the_newest_of_an_id() -> None:
    calls = timeline()
    calls.add(finished_call(status=500), summary())
    calls.add(finished_call(status=201), summary())
    by_id, by_correlation = calls.find("req-1"), calls.find("corr-req-1")
    assert by_id
    assert by_correlation
    assert by_id["status_code"] == by_correlation["status_code"] == 201


def test_the_timeline_forgets_the_oldest() -> None:
    calls = timeline(kept=2)
    for name in ("a", "b", "c"):
        calls.add(finished_call(name=name), summary())
    assert calls.find("a") is None
    assert calls.find("b")
    assert calls.find("never") is None


def test_of_a_very_long_path_only_the_beginning_is_kept() -> None:
    calls = timeline()
    call = finished_call()
    call.path = b"/" + b"x" * 30_000
    calls.add(call, summary())
    found = calls.find("req-1")
    assert found
    assert len(found["path"]) == 2048


def test_the_newest_calls_come_first_and_in_short() -> None:
    calls = timeline(kept=3)
    for number in range(5):
        calls.add(finished_call(name=f"i-{number}", path=b"/" + b"x" * 5000), summary())
    assert [call.id for call in calls.newest(2)] == ["i-4", "i-3"]
    assert (len(calls.newest()), calls.full, calls.ended) == (3, True, 5)
    short = calls.newest(1)[0].short()
    assert len(short.pop("path")) == LONGEST_SHOWN
    assert short == {
        "id": "i-4", "at": 1_790_000_000.0, "protocol": "http", "method": "POST", "route": "things",
        "upstream": "store", "attempts": 1, "status": 200, "outcome": "ok", "seconds": 0.02, "ttfb": 0.01,
    }  # fmt: skip


def test_a_short_form_has_the_code_of_a_grpc_call_and_a_status_of_callers_who_left() -> None:
    calls = timeline()
    calls.add(finished_call(status=0), summary(outcome="caller_left"))
    calls.add(finished_call(code="ABORTED"), summary())
    rpc, http = (call.short() for call in calls.newest())
    assert (rpc["protocol"], rpc["code"], "status" in rpc) == ("grpc", "ABORTED", False)
    assert (http["protocol"], http["status"], "code" in http) == ("http", 499, False)


@pytest.mark.parametrize(
    ("attempts", "outcome", "upstream", "refused"),
    [
        (0, "rate_limited", "", True),
        (1, "rate_limited", "", False),
        (0, "circuit_open", "store", True),
        (0, "circuit_open", "static/away", False),
        (0, "ok", "static/away", False),
        (0, "client_error", "store", False),  # an equal call's answer
        (0, "caller_left", "", False),
    ],
)
def test_who_was_refused_by_us(attempts: int, outcome: str, upstream: str, refused: bool) -> None:
    calls = timeline()
    call = finished_call(attempts=attempts)
    call.upstream = upstream
    calls.add(call, summary(outcome=outcome))
    assert calls.newest()[0].refused is refused


def test_an_answer_is_a_target_s_when_it_showed_evidence_or_is_static() -> None:
    calls = timeline()
    answered, silent, static = finished_call(), finished_call(), finished_call()
    static.upstream = "static/away"
    calls.add(answered, summary())
    calls.add(silent, summary(seconds=0.0))
    calls.add(static, summary(seconds=0.0))
    assert [call.answered for call in calls.newest()] == [True, False, True]
