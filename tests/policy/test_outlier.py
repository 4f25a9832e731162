from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sidecar.policy.outlier import Addresses
from tests.kit.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable


def chances(*values: float) -> Callable[[], float]:
    return itertools.cycle(values).__next__


def addresses(count: int, clock: Clock | None = None, rng: Callable[[], float] | None = None) -> Addresses:
    return Addresses(count, clock or Clock(), rng or random.Random(7).random)


def fail(these: Addresses, index: int, times: int) -> list[bool]:
    return [these.failed(index) for _ in range(times)]


def used(these: Addresses, *tried: int) -> set[int]:
    return {these.pick(tried) for _ in range(200)}


def test_of_two_random_choices_the_less_busy_one_is_taken() -> None:
    these = addresses(3, rng=chances(0.0, 0.0))
    assert these.pick() == 0
    these.started(0)
    assert these.pick() == 1, "0 and 1 are drawn, and 0 is busy"
    these.started(1)
    assert these.pick() == 0
    these.ended(0)
    these.ended(1)
    assert these.pick() == 0


def test_load_is_nearly_even() -> None:
    these = addresses(4)
    count: Counter[int] = Counter()
    for _ in range(400):
        index = these.pick()
        these.started(index)
        count[index] += 1
    assert max(count.values()) - min(count.values()) <= 4


def test_a_retry_takes_another_address() -> None:
    assert used(addresses(3), 1) == {0, 2}
    assert used(addresses(2), 1) == {0}


def test_each_further_retry_takes_one_that_was_not_tried_yet() -> None:
    assert used(addresses(3), 1, 0) == {2}
    assert used(addresses(3), 1, 0, 2) == {0, 1}, "all were tried: any but the last"


def test_a_single_address_is_always_taken_and_always_heard() -> None:
    these = addresses(1)
    assert these.pick([0]) == 0
    assert fail(these, 0, 5) == [True] * 5
    assert these.pick() == 0


def test_three_failures_in_a_row_set_an_address_aside() -> None:
    clock = Clock()
    these = addresses(3, clock)
    fail(these, 1, 2)
    assert used(these) == {0, 1, 2}
    fail(these, 1, 1)
    assert used(these) == {0, 2}
    clock.advance(1)
    assert used(these) == {0, 1, 2}


def test_a_success_between_starts_the_row_anew() -> None:
    these = addresses(3)
    fail(these, 1, 2)
    these.succeeded(1)
    fail(these, 1, 2)
    these.succeeded(0)
    assert used(these) == {0, 1, 2}


def test_the_time_aside_doubles_to_thirty_seconds_and_is_forgotten_with_a_success() -> None:
    clock = Clock()
    these = addresses(3, clock)
    fail(these, 0, 2)
    times = []
    for _ in range(7):
        fail(these, 0, 1)
        aside = these.snapshot()[0]["aside"]
        assert isinstance(aside, float)
        times.append(aside)
        clock.advance(aside)
    assert times == [1, 2, 4, 8, 16, 30, 30]
    these.succeeded(0)
    fail(these, 0, 3)
    assert these.snapshot()[0]["aside"] == 1


def test_failures_of_calls_that_were_in_flight_do_not_lengthen_it() -> None:
    these = addresses(3)
    fail(these, 0, 9)
    assert these.snapshot()[0] == {"inflight": 0, "failures": 9, "aside": 1.0}


def test_when_all_are_aside_all_are_used() -> None:
    these = addresses(3)
    for index in range(3):
        fail(these, index, 3)
    assert used(these) == {0, 1, 2}
    assert used(these, 2) == {0, 1}


@pytest.mark.parametrize("tried", [(), (0,)])
def test_the_only_well_address_is_taken_again(tried: tuple[int, ...]) -> None:
    these = addresses(2)
    fail(these, 1, 3)
    assert used(these, *tried) == {0}


def test_the_breaker_hears_it_when_most_are_aside() -> None:
    these = addresses(4)
    assert not any(fail(these, 0, 3))
    assert not any(fail(these, 1, 3)), "half is not most"
    assert fail(these, 2, 3) == [False, False, True]


def test_the_breaker_hears_it_when_no_other_was_left() -> None:
    these = addresses(2)
    assert not any(fail(these, 0, 3)), "one other is left"
    assert these.failed(1), "the other is aside"
