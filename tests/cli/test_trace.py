"""`sidecar trace ID`: the timeline of a finished call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cli.trace import WIDTH, bar, trace
from sidecar.cli.trouble import Trouble
from tests.kit.asked import asked, governed
from tests.kit.blunt import blunt, json_answer

if TYPE_CHECKING:
    from tests.kit.running import Running

TWICE = """
[policies.default.retry]
tries = 2
backoff = "1ms"
"""


async def finished(sidecar: Running, *fields: str, target: str = "/things?key=hush") -> None:
    """A call that is remembered: its line is in the log."""
    answer = await sidecar.ask(target, *fields)
    await sidecar.log.call(answer.fields["x-sidecar-request-id"])


async def test_the_steps_of_a_call_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(TWICE) as sidecar:
        await finished(sidecar, "X-Request-ID: abc")
        told = await asked(capsys, trace, "abc", sidecar.admin, None)
    assert told.code == 0
    head, outcome, ids, blank, columns, *steps = told.lines
    assert head.startswith("GET /things → 502, route r, upstream a, 2 attempts, ")
    assert outcome.startswith("upstream_connect_failed; began 2")
    assert outcome.endswith("; configuration 1")
    assert (ids, blank) == ("request abc, correlation abc", "")
    assert columns.split() == ["at", "lasted", "0" + "-" * (WIDTH - 2) + ">", "step", "target", "outcome", "why"]
    kinds = [next(word for word in line.split() if word in {"attempt", "wait", "skip"}) for line in steps]
    assert kinds == ["attempt", "wait", "attempt"]
    assert "connect_failed" in steps[0]
    assert steps[0].endswith("127.0.0.1:9: connection refused")
    assert "hush" not in told.out


async def test_by_the_correlation_id_too_and_with_a_slash(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(TWICE) as sidecar:
        await finished(sidecar, "X-Request-ID: one", "X-Correlation-ID: job/7+=@:x")
        told = await asked(capsys, trace, "job/7+=@:x", sidecar.admin, None)
        assert "request one, correlation job/7+=@:x" in told.lines
        as_json = await asked(capsys, trace, "one", sidecar.admin, None, as_json=True)
    assert (as_json.code, as_json.document["attempts"]) == (0, 2)


async def test_a_call_that_no_target_was_tried_for(capsys: pytest.CaptureFixture[str]) -> None:
    async with governed(route="rate_limit = { per_hour = 1 }") as sidecar:
        await finished(sidecar)
        await finished(sidecar, "X-Request-ID: late")
        told = await asked(capsys, trace, "late", sidecar.admin, None)
    assert told.lines[0].startswith("GET /things → 429, route r, 0 attempts, ")
    assert told.lines[-1] == "no target was tried"


@pytest.mark.parametrize("wanted", ["nope", "", "a b", "ü", "\udcff", "../health", "?", "%2F"])
async def test_an_unknown_id_is_not_well(wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        with pytest.raises(Trouble) as raised:
            await asked(capsys, trace, wanted, sidecar.admin, None)
    assert raised.value.code == 1


async def test_a_call_over_grpc_is_told_by_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    step = {"kind": "attempt", "target": "s", "outcome": "grpc", "at": 0.5, "seconds": 1.0, "grpc_code": "UNAVAILABLE"}
    skip = {"kind": "skip", "target": "t", "outcome": "circuit_open", "at": 1.5, "seconds": 0.0, "why": "it is open"}
    call: dict[str, Any] = {
        "request_id": "g", "correlation_id": "g", "started": "2026-01-01T00:00:00.000Z", "protocol": "grpc",
        "method": "POST", "path": "p.S/M", "route": "r", "upstream": "s", "attempts": 1, "grpc_code": "UNAVAILABLE",
        "outcome": "grpc", "generation": 3, "seconds": 1.5, "ttfb": 1.25, "waited": 0.5, "steps": [step, skip],
    }  # fmt: skip
    async with blunt(json_answer(call)) as there:
        told = await asked(capsys, trace, "g", there.url, None)
    assert told.lines[0] == "POST p.S/M → UNAVAILABLE, route r, upstream s, 1 attempt, 1.5 s"
    assert told.lines[1].endswith("; first byte after 1.2 s; 500.0 ms of waiting; configuration 3")
    assert told.lines[-2:] == [
        f"500.0 ms  1.0 s   {' ' * 10}{'#' * 20}  attempt  s       grpc (UNAVAILABLE)",
        f"1.5 s     0.0 ms  {' ' * 29}|  skip     t       circuit_open        it is open",
    ]


async def test_what_is_no_timeline_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async with blunt(json_answer({"id": 7})) as there:
        with pytest.raises(Trouble, match="is no sidecar"):
            await asked(capsys, trace, "7", there.url, None)


@pytest.mark.parametrize(
    ("at", "seconds", "drawn"),
    [(0, 10, "##########"), (0, 5, "#####     "), (5, 5, "     #####"), (3, 0, "   #      "), (10, 0, "         #")],
)
def test_a_bar_is_to_scale(at: float, seconds: float, drawn: str) -> None:
    assert bar(at, seconds, 10, "#", width=10) == drawn


@given(*[st.floats(min_value=0, max_value=1e6)] * 3)
def test_a_bar_never_leaves_its_place(at: float, seconds: float, total: float) -> None:
    drawn = bar(at, seconds, total, "#")
    assert len(drawn) == WIDTH
    assert drawn.strip() == "#" * drawn.count("#")
    assert "#" in drawn
