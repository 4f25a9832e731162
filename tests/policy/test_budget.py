from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.budget import RetryBudget
from tests.kit.clock import Clock


def paid(budget: RetryBudget, tries: int = 1000) -> int:
    """How many retries it pays before it refuses."""
    return next(count for count in range(tries) if not budget.withdraw())


@pytest.mark.parametrize(
    ("ratio", "calls", "retries"),
    [(0.2, 100, 20), (0.29, 100, 29), (0.1, 30, 3), (1.0, 7, 7), (0.2, 4, 0), (0.0, 50, 0)],
)
def test_it_pays_a_share_of_the_calls(ratio: float, calls: int, retries: int) -> None:
    budget = RetryBudget(ratio, 0, Clock())
    for _ in range(calls):
        budget.deposit()
    assert paid(budget) == retries


def test_it_always_pays_a_few() -> None:
    assert paid(RetryBudget(0.2, 3, Clock())) == 30


def test_the_larger_of_both_counts() -> None:
    budget = RetryBudget(0.2, 3, Clock())
    for _ in range(100):
        budget.deposit()
    assert budget.balance == 30
    for _ in range(100):
        budget.deposit()
    assert budget.balance == 40


def test_a_refused_retry_draws_nothing() -> None:
    budget = RetryBudget(0.5, 0, Clock())
    budget.deposit()
    assert not budget.withdraw()
    budget.deposit()
    assert budget.withdraw()


def test_calls_and_retries_older_than_ten_seconds_are_forgotten() -> None:
    clock = Clock(1000.0)
    budget = RetryBudget(0.5, 0, clock)
    for _ in range(10):
        budget.deposit()
    clock.advance(5)
    assert budget.withdraw()
    clock.advance(4.9)
    assert budget.balance == 4
    clock.advance(0.1)
    assert budget.balance == -1
    clock.advance(5)
    assert budget.balance == 0


def test_a_long_silence_forgets_all() -> None:
    clock = Clock()
    budget = RetryBudget(0.5, 0, clock)
    budget.deposit()
    clock.advance(86400)
    assert budget.balance == 0


def test_the_callers_own_retries_are_drawn_and_never_refused() -> None:
    budget = RetryBudget(0.2, 0.2, Clock())
    for _ in range(5):
        budget.charge()
    assert budget.balance == -3
    assert not budget.withdraw()


@given(st.lists(st.tuples(st.sampled_from(["call", "retry", "wait"]), st.floats(0.01, 4)), max_size=120))
def test_retries_of_the_last_ten_seconds_never_pass_the_allowance(events: list[tuple[str, float]]) -> None:
    clock = Clock(5000.0)
    budget = RetryBudget(0.5, 0.2, clock)
    calls: list[int] = []
    retries: list[int] = []
    for event, seconds in events:
        second = int(clock())
        if event == "wait":
            clock.advance(seconds)
        elif event == "call":
            budget.deposit()
            calls.append(second)
        elif budget.withdraw():
            retries.append(second)
            recent = [sum(second - moment < 10 for moment in moments) for moments in (calls, retries)]
            assert recent[1] <= max(0.5 * recent[0], 2)
