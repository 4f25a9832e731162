"""The breaker against a plain model of it, in traffic that does anything in any order."""

from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.policy.breaker import Breaker, Permit
from sidecar.policy.circuit import BreakerOpen
from sidecar.settings import CircuitBreakerSettings
from tests.kit.clock import Clock

SETTINGS = CircuitBreakerSettings(
    failure_threshold=3, failure_rate=0.5, window=10, window_time=20, success_threshold=2,
    recovery_first=4, recovery_timeout=16, probes=2, probe_timeout=3,
)  # fmt: skip


class Traffic(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.moves: list[tuple[str, str]] = []
        self.breaker = Breaker("b", SETTINGS, self.clock, [lambda _breaker, old, new: self.moves.append((old, new))])
        self.out: list[tuple[Permit, float, int]] = []
        """Permits not settled, when they were given, and in which era (by moves made)."""
        self.done: list[Permit] = []

    @rule()
    def acquire(self) -> None:
        admitted, state, wait = self.breaker.would_admit(), self.breaker.state, self.breaker.retry_after()
        assert admitted == (wait == 0)
        if admitted:
            permit = self.breaker.acquire()
            # Asking may have made it half-open: the permit belongs to the era after that.
            self.out.append((permit, self.clock(), len(self.moves)))
            return
        assert state != "closed"
        with pytest.raises(BreakerOpen) as refusal:
            self.breaker.acquire()
        assert refusal.value.retry_after == wait <= SETTINGS.recovery_timeout

    @precondition(lambda self: self.out)
    @rule(which=st.integers(0, 50), how=st.sampled_from(["succeed", "fail", "fail", "release", "broke"]))
    def settle(self, which: int, how: str) -> None:
        permit, _, era = self.out.pop(which % len(self.out))
        before = len(self.moves)
        if how == "succeed":
            permit.succeed(0.1)
        else:
            getattr(permit, how)()
        assert permit.settled
        if era != before or how == "release":
            assert len(self.moves) == before, "a result of an earlier era, or of nobody, moved the circuit"
        self.done.append(permit)

    @precondition(lambda self: self.done)
    @rule(which=st.integers(0, 50))
    def settle_again(self, which: int) -> None:
        permit, before = self.done[which % len(self.done)], self.breaker.snapshot()
        permit.fail()
        permit.succeed(0.1)
        permit.release()
        assert self.breaker.snapshot() == before

    @rule(seconds=st.sampled_from([0.5, 1, 3, 4, 8, 16, 40]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def never_more_probes_than_allowed(self) -> None:
        if self.breaker.state != "half_open":
            return
        now, era = self.clock(), len(self.moves)
        probes = [given for _, given, when in self.out if when == era and now - given < SETTINGS.probe_timeout]
        assert len(probes) <= SETTINGS.probes
        assert self.breaker.would_admit() == (len(probes) < SETTINGS.probes)

    @invariant()
    def every_move_begins_where_the_last_one_ended(self) -> None:
        states = ["closed"] + [new for _, new in self.moves]
        assert [old for old, _ in self.moves] == states[:-1]
        over = states[-1] == "open" and not self.breaker.retry_after()
        assert self.breaker.state == ("half_open" if over else states[-1])
        allowed = {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")}
        assert set(self.moves) <= allowed

    @invariant()
    def a_closed_circuit_has_not_failed_too_often(self) -> None:
        if self.breaker.state == "closed":
            assert self.breaker.retry_after() == 0
            assert self.breaker.snapshot().keys() == {"state", "failure_count", "recent_failures", "total_calls"}


TestTraffic = Traffic.TestCase
TestTraffic.settings = hypothesis_settings(max_examples=80, stateful_step_count=50, deadline=None)
