from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pybreaker
import pytest

from sidecar.errors import CircuitOpen
from sidecar.policy.circuit import BreakerOpen
from tests.kit.breakers import breaker, half_open, play
from tests.kit.clock import Clock

if TYPE_CHECKING:
    from sidecar.policy.breaker import Breaker

# Closed: when it opens.


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ("--", "closed"),
        ("---", "open"),
        ("-+-+-", "open"),
        ("-.-.", "closed"),
        ("++++", "closed"),
    ],
)
def test_without_a_rate_the_count_alone_decides(results: str, state: str) -> None:
    assert play(breaker(failure_threshold=3, failure_rate=0), results) == state


@pytest.mark.parametrize(
    ("results", "state"),
    [
        ("---", "open"),
        ("++++---", "closed"),
        ("++++----", "open"),
        ("+" * 40 + "-" * 39, "closed"),
        ("+" * 40 + "-" * 40, "open"),
    ],
)
def test_with_a_rate_both_count_and_share_decide(results: str, state: str) -> None:
    assert play(breaker(failure_threshold=3, failure_rate=0.5), results) == state


def test_a_share_written_in_decimals_is_met_exactly() -> None:
    assert play(breaker(failure_threshold=3, failure_rate=0.1), "+" * 27 + "--") == "closed"
    assert play(breaker(failure_threshold=3, failure_rate=0.1), "+" * 27 + "---") == "open"


def test_only_the_last_calls_count() -> None:
    assert play(breaker(window=4), "--" + "+++" + "-") == "closed"
    assert play(breaker(window=4), "--" + "+" + "-") == "open"


def test_only_young_calls_count() -> None:
    clock = Clock()
    subject = breaker(clock, window_time=30)
    play(subject, "--")
    clock.advance(30)
    assert play(subject, "--") == "closed"
    clock.advance(29)
    assert play(subject, "-") == "open"


def test_a_slow_success_is_a_failure() -> None:
    subject = breaker(slow_call=2)
    for seconds in (2.0, 2.1, 2.1, 2.1):
        subject.acquire().succeed(seconds)
    assert subject.state == "open"


# Permits: settled once.


def test_the_first_word_settles_a_permit() -> None:
    subject = breaker()
    permit = subject.acquire()
    permit.succeed(0.1)
    for _ in range(5):
        permit.fail()
        permit.succeed(0.1)
        permit.release()
    assert subject.snapshot()["total_calls"] == 1
    assert subject.snapshot()["failure_count"] == 0


def test_a_released_permit_counts_for_nothing() -> None:
    subject = breaker()
    permit = subject.acquire()
    permit.release()
    permit.fail()
    permit.broke()
    assert subject.snapshot()["total_calls"] == 0


def test_a_stream_cut_after_its_success_adds_a_failure_once() -> None:
    subject = breaker()
    permit = subject.acquire()
    permit.succeed(0.1)
    permit.broke()
    permit.broke()
    assert subject.snapshot()["failure_count"] == 1


def test_broken_before_it_was_settled_is_a_failure() -> None:
    subject = breaker()
    permit = subject.acquire()
    permit.broke()
    permit.broke()
    assert subject.snapshot()["failure_count"] == 1


def test_a_failure_that_breaks_is_one_failure() -> None:
    subject = breaker(slow_call=1)
    failed, slow = subject.acquire(), subject.acquire()
    failed.fail()
    failed.broke()
    slow.succeed(5)
    slow.broke()
    assert subject.snapshot()["failure_count"] == 2


def test_cut_streams_can_open_the_circuit() -> None:
    subject = breaker()
    permits = [subject.acquire() for _ in range(3)]
    for permit in permits:
        permit.succeed(0.1)
    for permit in permits:
        permit.broke()
    assert subject.state == "open"


# Open: how it refuses, and for how long.


def test_the_refusal_says_who_and_how_long() -> None:
    clock = Clock()
    subject = breaker(clock)
    play(subject, "---")
    clock.advance(4)
    with pytest.raises(BreakerOpen, match=r"^Circuit breaker 'orders' is OPEN$") as refusal:
        subject.acquire()
    assert refusal.value.retry_after == pytest.approx(6)
    assert isinstance(refusal.value, pybreaker.CircuitBreakerError)
    assert isinstance(refusal.value, CircuitOpen)
    assert (refusal.value.label, refusal.value.http_status) == ("circuit_open", 503)


def test_an_open_circuit_whose_time_is_over_reads_half_open_before_someone_asks() -> None:
    clock = Clock()
    subject = breaker(clock)
    play(subject, "---")
    assert (subject.state, subject.would_admit(), subject.retry_after()) == ("open", False, 10)
    clock.advance(10)
    assert (subject.state, subject.would_admit(), subject.retry_after()) == ("half_open", True, 0)
    assert subject.snapshot()["state"] == "half_open"
    subject.acquire()
    assert subject.state == "half_open"


def test_each_failed_probe_doubles_the_time_open_up_to_the_longest() -> None:
    clock = Clock()
    subject = breaker(clock, recovery_first=10, recovery_timeout=60)
    play(subject, "---")
    waits = []
    for _ in range(5):
        waits.append(subject.retry_after())
        clock.advance(subject.retry_after())
        play(subject, "-")
    assert waits == [10, 20, 40, 60, 60]


def test_after_closing_it_begins_with_the_first_time_again() -> None:
    clock = Clock()
    subject = breaker(clock)
    play(subject, "---")
    clock.advance(10)
    play(subject, "-")
    clock.advance(20)
    assert play(subject, "+") == "closed"
    play(subject, "---")
    assert subject.retry_after() == 10


def test_the_first_time_is_never_more_than_the_longest() -> None:
    subject = breaker(recovery_first=10, recovery_timeout=3)
    play(subject, "---")
    assert subject.retry_after() == 3


# By hand.


def test_forced_open_stays_open_until_reset() -> None:
    clock = Clock()
    subject = breaker(clock)
    subject.force_open()
    clock.advance(1e6)
    assert (subject.state, subject.would_admit(), subject.retry_after()) == ("open", False, math.inf)
    with pytest.raises(BreakerOpen) as refusal:
        subject.acquire()
    assert refusal.value.retry_after is None
    assert "retry_after" not in subject.snapshot()
    subject.reset()
    assert play(subject, "+") == "closed"


def test_what_is_open_already_can_be_forced_too() -> None:
    clock = Clock()
    subject = breaker(clock)
    play(subject, "---")
    subject.force_open()
    clock.advance(10)
    assert not subject.would_admit()


def test_reset_empties_the_window_and_forgets_what_is_in_flight() -> None:
    subject = breaker()
    late = subject.acquire()
    play(subject, "--")
    subject.reset()
    late.fail()
    assert play(subject, "--") == "closed"
    assert subject.snapshot()["recent_failures"] == 2


def test_reset_while_probing_ignores_the_probe() -> None:
    subject, probe = half_open(Clock())
    subject.reset()
    probe.fail()
    assert subject.state == "closed"


# What others hear and see.


def test_listeners_hear_each_move_when_it_is_complete() -> None:
    heard: list[tuple[str, str, str]] = []

    def listen(subject: Breaker, old: str, new: str) -> None:
        assert subject.state == new
        heard.append((subject.name, old, new))

    clock = Clock()
    subject = breaker(clock, [listen])
    play(subject, "---")
    clock.advance(10)
    play(subject, "-")
    clock.advance(20)
    play(subject, "+")
    subject.reset()
    assert heard == [
        ("orders", "closed", "open"),
        ("orders", "open", "half_open"),
        ("orders", "half_open", "open"),
        ("orders", "open", "half_open"),
        ("orders", "half_open", "closed"),
    ]


def test_a_listener_that_raises_cannot_abort_a_transition() -> None:
    def listen(subject: Breaker, old: str, new: str) -> None:
        raise RuntimeError("a bug of ours")

    subject = breaker(listeners=[listen])
    play(subject, "--")
    permit = subject.acquire()
    with pytest.raises(RuntimeError):
        permit.fail()
    assert subject.state == "open"
    assert not subject.would_admit()


def test_a_listener_may_act_on_the_breaker() -> None:
    clock = Clock()

    def veto(subject: Breaker, old: str, new: str) -> None:
        if new == "half_open":
            subject.force_open()

    subject = breaker(clock, [veto])
    play(subject, "---")
    clock.advance(10)
    with pytest.raises(BreakerOpen):
        subject.acquire()
    assert subject.state == "open"


def test_the_snapshot_of_a_closed_breaker() -> None:
    subject = breaker()
    play(subject, "+-+.")
    assert subject.snapshot() == {"state": "closed", "failure_count": 1, "recent_failures": 1, "total_calls": 3}


def test_the_snapshot_of_an_open_breaker() -> None:
    clock = Clock()
    subject = breaker(clock)
    play(subject, "+---")
    clock.advance(2.5)
    before = datetime.now(UTC)
    snapshot = subject.snapshot()
    opened_at = snapshot.pop("opened_at")
    assert snapshot == {
        "state": "open",
        "failure_count": 3,
        "recent_failures": 3,
        "total_calls": 4,
        "retry_after": 7.5,
    }
    assert isinstance(opened_at, str)
    assert opened_at.endswith("Z")
    assert abs((before - datetime.fromisoformat(opened_at)).total_seconds()) < 60


def test_the_snapshot_while_probing() -> None:
    clock = Clock()
    subject, _ = half_open(clock, probe_timeout=5)
    clock.advance(1)
    snapshot = subject.snapshot()
    assert (snapshot["state"], snapshot["retry_after"]) == ("half_open", 4)


def test_a_breaker_that_has_closed_again_shows_no_moment() -> None:
    subject, probe = half_open(Clock())
    probe.succeed(0.1)
    assert subject.snapshot() == {"state": "closed", "failure_count": 3, "recent_failures": 0, "total_calls": 4}
