"""What a breaker makes of hearsay: other sidecars' breakers of the same target opened, or closed again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from sidecar.policy.circuit import BreakerOpen
from tests.kit.breakers import breaker, half_open, play
from tests.kit.clock import Clock

if TYPE_CHECKING:
    from sidecar.policy.breaker import Breaker

# Another one opened.


def test_hearsay_opens_nothing_and_refuses_nothing() -> None:
    subject = breaker()
    for _ in range(100):
        subject.suspect()
    assert subject.state == "closed"
    assert subject.would_admit()
    assert play(subject, "+" * 50) == "closed"


def test_after_hearsay_one_failure_is_enough() -> None:
    subject = breaker()
    assert subject.suspect()
    assert play(subject, "-") == "open"


def test_a_success_ends_the_suspicion() -> None:
    subject = breaker()
    subject.suspect()
    assert play(subject, "+--") == "closed"
    assert play(subject, "-") == "open"


def test_what_is_nobodys_fault_leaves_it() -> None:
    subject = breaker()
    subject.suspect()
    assert play(subject, "..") == "closed"
    assert play(subject, "-") == "open"


def test_hearsay_is_as_old_as_a_result_may_be() -> None:
    clock = Clock()
    subject = breaker(clock, window_time=30)
    subject.suspect()
    clock.advance(29)
    assert subject.snapshot()["suspected"]
    clock.advance(1)
    assert "suspected" not in subject.snapshot()
    assert play(subject, "-") == "closed"


def test_told_again_it_is_not_new_but_young_again() -> None:
    clock = Clock()
    subject = breaker(clock, window_time=30)
    assert subject.suspect()
    clock.advance(20)
    assert not subject.suspect()
    clock.advance(20)
    assert play(subject, "-") == "open"


def test_calls_under_way_when_it_is_heard_count() -> None:
    subject = breaker()
    permits = [subject.acquire() for _ in range(3)]
    subject.suspect()
    permits[0].fail()
    permits[1].succeed(0.1)
    assert subject.state == "open"


def test_a_slow_success_is_the_failure_that_was_missing() -> None:
    subject = breaker(slow_call=2)
    subject.suspect()
    subject.acquire().succeed(3)
    assert subject.state == "open"


def test_closed_by_hand_it_is_suspected_no_longer() -> None:
    subject = breaker()
    subject.suspect()
    subject.reset()
    assert play(subject, "-") == "closed"


def test_one_that_is_not_closed_learns_nothing_from_it() -> None:
    clock = Clock()
    subject = breaker(clock)
    play(subject, "---")
    assert not subject.suspect()
    clock.advance(10)
    probe = subject.acquire()
    assert not subject.suspect()
    probe.succeed(0.1)
    assert play(subject, "--") == "closed"


# Another one closed again.


def test_a_hurried_circuit_lets_a_probe_through_at_once_and_only_that() -> None:
    subject = breaker()
    play(subject, "---")
    assert subject.hurry()
    assert (subject.state, subject.retry_after()) == ("half_open", 0.0)
    probe = subject.acquire()
    with pytest.raises(BreakerOpen):
        subject.acquire()
    probe.succeed(0.1)
    assert subject.state == "closed"


def test_the_probe_decides_and_a_wrong_hurry_costs_one_call_a_period() -> None:
    clock = Clock()
    subject = breaker(clock)
    play(subject, "---")
    clock.advance(4)
    assert subject.hurry()
    subject.acquire().fail()
    assert subject.state == "open"
    assert subject.retry_after() == 10, "as long as the first time: a wrong word is not the target's"
    assert not subject.hurry()
    clock.advance(10)
    subject.acquire().fail()
    assert subject.retry_after() == 20, "its own probe failed: doubled"
    assert subject.hurry(), "another period, another hurry"


def test_hurried_twice_is_hurried_once() -> None:
    subject = breaker()
    play(subject, "---")
    assert subject.hurry()
    assert not subject.hurry()


def test_what_was_opened_by_hand_stays_open() -> None:
    subject = breaker()
    subject.force_open()
    assert not subject.hurry()
    assert subject.retry_after() == math.inf


def test_opened_by_hand_while_it_was_hurried() -> None:
    subject = breaker()
    play(subject, "---")
    subject.hurry()
    subject.force_open()
    assert subject.state == "open"
    assert not subject.would_admit()


def test_there_is_nothing_to_hurry_in_one_that_admits() -> None:
    clock = Clock()
    assert not breaker(clock).hurry()
    subject, _ = half_open(clock)
    assert not subject.hurry()
    waiting = breaker(clock)
    play(waiting, "---")
    clock.advance(10)
    assert not waiting.hurry(), "its time is over already"


# What a move came by.


def test_each_move_says_what_it_came_by() -> None:
    told: list[tuple[str, str, str]] = []

    def hear(subject: Breaker, old: str, new: str) -> None:
        told.append((old, new, subject.cause))

    clock = Clock()
    subject = breaker(clock, [hear])
    play(subject, "---")
    clock.advance(10)
    play(subject, "-")
    subject.hurry()
    play(subject, "+")
    subject.suspect()
    play(subject, "-")
    subject.reset()
    subject.force_open()
    subject.reset()
    assert told == [
        ("closed", "open", "calls"),
        ("open", "half_open", "calls"),
        ("half_open", "open", "calls"),
        ("open", "half_open", "calls"),
        ("half_open", "closed", "calls"),
        ("closed", "open", "news"),
        ("open", "closed", "hand"),
        ("closed", "open", "hand"),
        ("open", "closed", "hand"),
    ]


def test_enough_failures_of_its_own_are_its_own_word_also_where_it_was_suspected() -> None:
    causes: list[str] = []
    subject = breaker(listeners=[lambda moved, _old, _new: causes.append(moved.cause)], failure_threshold=1)
    subject.suspect()
    play(subject, "-")
    assert causes == ["calls"]
