"""The breaker while half-open, and results that come from an earlier era."""

from __future__ import annotations

import pytest

from sidecar.policy.breaker import Breaker
from sidecar.policy.circuit import BreakerOpen
from sidecar.settings import CircuitBreakerSettings
from tests.kit.breakers import breaker, half_open, play
from tests.kit.clock import Clock

# Half-open: probes.


def test_only_so_many_probes_at_once() -> None:
    clock = Clock()
    subject, _ = half_open(clock, probes=2)
    assert subject.would_admit()
    subject.acquire()
    assert not subject.would_admit()
    with pytest.raises(BreakerOpen):
        subject.acquire()


@pytest.mark.parametrize("settle", ["release", "succeed"])
def test_a_settled_probe_frees_its_place(settle: str) -> None:
    subject, probe = half_open(Clock(), success_threshold=2)
    if settle == "release":
        probe.release()
    else:
        probe.succeed(0.1)
    assert subject.state == "half_open"
    assert subject.would_admit()


def test_a_probe_without_evidence_gives_its_place_back() -> None:
    clock = Clock()
    subject, _ = half_open(clock, probe_timeout=5)
    clock.advance(2)
    assert subject.retry_after() == 3
    with pytest.raises(BreakerOpen) as refusal:
        subject.acquire()
    assert refusal.value.retry_after == 3
    clock.advance(3)
    assert subject.would_admit()
    subject.acquire()
    assert not subject.would_admit()


def test_late_evidence_of_a_probe_still_counts_in_its_era() -> None:
    clock = Clock()
    subject, probe = half_open(clock, probe_timeout=5)
    clock.advance(6)
    probe.succeed(6)
    assert subject.state == "closed"


def test_it_closes_after_enough_successes_with_an_empty_window() -> None:
    clock = Clock()
    subject, probe = half_open(clock, success_threshold=2)
    probe.succeed(0.1)
    assert subject.state == "half_open"
    assert play(subject, "+") == "closed"
    assert play(subject, "--") == "closed"


def test_one_failed_probe_opens_it_again() -> None:
    subject, probe = half_open(Clock(), success_threshold=2)
    probe.succeed(0.1)
    assert play(subject, "-") == "open"


def test_a_probe_whose_stream_breaks_opens_it_again() -> None:
    subject, probe = half_open(Clock(), success_threshold=2)
    probe.succeed(0.1)
    probe.broke()
    assert subject.state == "open"


def test_a_slow_probe_is_a_failed_one() -> None:
    subject, probe = half_open(Clock(), slow_call=1)
    probe.succeed(2)
    assert subject.state == "open"


# Eras: late results.


def test_a_late_failure_does_not_lengthen_the_time_open() -> None:
    clock = Clock()
    subject = breaker(clock)
    late = subject.acquire()
    play(subject, "---")
    clock.advance(9)
    late.fail()
    assert subject.retry_after() == 1


def test_a_late_failure_does_not_open_what_probes() -> None:
    clock = Clock()
    subject = breaker(clock)
    late = subject.acquire()
    play(subject, "---")
    clock.advance(10)
    probe = subject.acquire()
    late.fail()
    assert subject.snapshot()["state"] == "half_open"
    probe.succeed(0.1)
    assert subject.state == "closed"


def test_a_late_success_does_not_close_what_is_open() -> None:
    clock = Clock()
    subject = breaker(clock)
    late, cut = subject.acquire(), subject.acquire()
    cut.succeed(0.1)
    play(subject, "---")
    late.succeed(0.1)
    assert subject.state == "open"
    clock.advance(10)
    play(subject, "+")
    cut.broke()
    assert subject.snapshot()["recent_failures"] == 0, "the circuit that heard the success is gone"


@pytest.mark.parametrize(("told", "state"), [({}, "closed"), ({"success_threshold": 2}, "half_open")])
def test_one_stream_of_an_llm_is_probe_enough_unless_the_file_says(told: dict[str, int], state: str) -> None:
    clock = Clock()
    settings = CircuitBreakerSettings.model_validate({"failure_threshold": 1, "failure_rate": 0, **told})
    subject = Breaker("a", settings, clock)
    subject.acquire().fail()
    clock.now += settings.recovery_first
    subject.acquire().succeed(0.1, streamed=True)
    assert subject.state == state
