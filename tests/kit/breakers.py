"""Breakers for tests: made with short settings, and played with results written as signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.policy.breaker import Breaker, Permit
from sidecar.settings import CircuitBreakerSettings
from tests.kit.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.policy.breaker import Listener


def breaker(clock: Clock | None = None, listeners: Iterable[Listener] = (), **settings: Any) -> Breaker:
    """Opens after 3 failures, stays open 10 s, closes after 1 success, unless told otherwise."""
    told = {
        "failure_threshold": 3,
        "failure_rate": 0,
        "success_threshold": 1,
        "recovery_first": 10,
        "recovery_timeout": 60,
        **settings,
    }
    return Breaker("orders", CircuitBreakerSettings(**told), clock or Clock(), listeners)


def play(subject: Breaker, results: str) -> str:
    """One call after another: `+` succeeds, `-` fails, `.` is released. Gives the state at the end."""
    for result in results:
        permit = subject.acquire()
        if result == "+":
            permit.succeed(0.1)
        elif result == "-":
            permit.fail()
        else:
            permit.release()
    return subject.state


def half_open(clock: Clock, **settings: Any) -> tuple[Breaker, Permit]:
    """A breaker that has just become half-open, and its first probe."""
    subject = breaker(clock, **settings)
    play(subject, "---")
    clock.advance(10)
    return subject, subject.acquire()
