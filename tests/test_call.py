"""The shared nouns: what they say without being told."""

from __future__ import annotations

import pytest

from sidecar.body import Body
from sidecar.call import NO_DEADLINE, Call, Outcome, Same, Verdict, Wire


def a_call() -> Call:
    return Call(
        id="1",
        correlation_id="1",
        wire=Wire.HTTP,
        method=b"GET",
        target=b"/a?b",
        path=b"/a",
        headers=[],
        fields={},
        body=Body.of(b""),
        started=0.0,
    )


def test_a_call_asks_for_nothing_by_itself() -> None:
    call = a_call()
    assert (call.retry, call.fallback, call.retrying, call.idempotent) == (True, True, False, False)
    assert call.deadline == call.caller_deadline == NO_DEADLINE
    assert call.refusal is None


def test_what_is_set_on_one_call_is_not_set_on_another() -> None:
    one, other = a_call(), a_call()
    one.route, one.attempts, one.should_retry = "r", 2, False
    assert (other.route, other.attempts, other.should_retry) == ("", 0, None)


@pytest.mark.parametrize(
    ("same", "to_next", "final"),
    [(Same.NO, False, True), (Same.NO, True, False), (Same.BACKOFF, False, False), (Same.AFTER, True, False)],
)
def test_an_outcome_is_final_when_nothing_may_be_tried_after_it(same: Same, to_next: bool, final: bool) -> None:
    assert Outcome("x", Verdict.NOTHING, same, next=to_next).final is final
