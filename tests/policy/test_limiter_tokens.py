"""Limits of LLM tokens: an estimate is taken beside the requests, and corrected by what was used."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.limiter import Limiter, RateLimit, Window, windows_of
from sidecar.quota import Quota
from sidecar.settings import RateLimitSettings
from tests.kit.virtual_loop import VirtualTimeLoop, run

pytestmark = pytest.mark.virtual_time


def limit(**settings: Any) -> RateLimit:
    return RateLimit(RateLimitSettings(**settings), asyncio.get_running_loop().time)


def left(limit: RateLimit, key: str = "k") -> list[int]:
    return [quota.remaining for quota in limit.quotas(key)]


# The window.


def test_the_window_of_tokens_is_the_last_and_the_burst_is_of_requests() -> None:
    assert windows_of(RateLimitSettings(per_second=2, per_minute=5, tokens_per_minute=600, burst=3)) == (
        Window(2, 1.0, 3),
        Window(5, 60.0, 5),
        Window(600, 60.0, 600, "tokens"),
    )
    assert windows_of(RateLimitSettings(tokens_per_minute=600, burst=3)) == (Window(600, 60.0, 600, "tokens"),)


async def test_a_limit_knows_whether_it_counts_tokens() -> None:
    assert (limit(tokens_per_minute=1).counts_tokens, limit(per_minute=1).counts_tokens) == (True, False)


async def test_the_snapshot_tells_what_each_window_counts() -> None:
    rates = limit(per_minute=5, tokens_per_minute=600)
    rates.take("", tokens=100)
    shown = rates.snapshot()
    assert shown["windows"] == [
        {"unit": "requests", "limit": 5, "seconds": 60.0, "burst": 5},
        {"unit": "tokens", "limit": 600, "seconds": 60.0, "burst": 600},
    ]
    assert shown["remaining"] == [4, 500]


# Taking.


async def test_giving_back_to_a_bucket() -> None:
    bucket = Limiter(10, 10)
    bucket.take(8)
    bucket.give_back(3)
    assert bucket.free == 5
    bucket.give_back(100)
    assert (bucket.free, bucket.idle) == (10, True)


async def test_tokens_alone(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(tokens_per_minute=600)
    assert [rates.take("k", tokens=400), rates.take("k", tokens=400)] == [0.0, 20.0]
    virtual_loop.advance(20)
    assert rates.take("k", tokens=400) == 0.0
    assert rates.quotas("k") == [Quota(600, 60.0, 0, 60.0, "tokens")]


async def test_requests_and_tokens_are_taken_together_or_not_at_all(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(per_minute=2, tokens_per_minute=600)
    assert rates.take("k", tokens=500) == 0.0
    assert rates.take("k", tokens=400) == 30.0, "no tokens are left"
    assert left(rates) == [1, 100], "and no request is lost"
    assert rates.take("k", tokens=100) == 0.0
    virtual_loop.advance(10)
    assert rates.take("k", tokens=50) == pytest.approx(20), "no request is left"
    assert left(rates) == [0, 100], "and no tokens are lost"


async def test_the_longest_wait_is_told() -> None:
    rates = limit(per_minute=1, tokens_per_minute=600)
    rates.take("k", tokens=600)
    assert rates.take("k", tokens=300) == 60.0, "a request, after the tokens would have come"
    assert limit(per_second=1, tokens_per_minute=600).take("k", tokens=600) == 0.0


async def test_several_windows_of_requests_beside_tokens() -> None:
    rates = limit(per_second=2, per_minute=3, tokens_per_minute=600)
    assert [rates.take("k", tokens=10) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert left(rates) == [0, 1, 580]
    assert rates.take("k", tokens=600) == 2.0, "the tokens come last"


async def test_who_asks_for_no_tokens_does_not_wait_for_them() -> None:
    rates = limit(per_minute=3, tokens_per_minute=600)
    rates.take("k", tokens=600)
    rates.correct("k", 6000)
    assert (rates.take("k"), left(rates)) == (0.0, [1, 0])
    only = limit(tokens_per_minute=600)
    only.take("k", tokens=600)
    assert only.take("k") == 0.0


async def test_a_limit_of_requests_takes_no_notice_of_tokens() -> None:
    rates = limit(per_minute=2)
    rates.take("k", tokens=1_000_000)
    rates.correct("k", 1_000_000)
    assert left(rates) == [1]


async def test_more_than_the_window_holds_is_let_in_when_it_is_empty(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(tokens_per_minute=600)
    rates.take("k", tokens=10)
    assert rates.take("k", tokens=1800) == 1.0, "when the ten have drained"
    virtual_loop.advance(1)
    assert rates.take("k", tokens=1800) == 0.0
    assert rates.take("k", tokens=1) == pytest.approx(120.1), "what it took too much is a debt"
    assert rates.quotas("k") == [Quota(600, 60.0, 0, 180.0, "tokens")]


# Correcting.


async def test_tokens_that_were_not_used_are_given_back() -> None:
    rates = limit(tokens_per_minute=600)
    rates.take("k", tokens=500)
    rates.correct("k", -450)
    assert left(rates) == [550]


async def test_what_has_drained_is_not_given_back_again(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(tokens_per_minute=600)
    rates.take("k", tokens=500)
    virtual_loop.advance(30)
    rates.correct("k", -450)
    assert left(rates) == [600], "never more than it holds"
    assert rates.take("k", tokens=601) == 0.0
    assert rates.take("k", tokens=1) == pytest.approx(0.2)


async def test_more_than_was_estimated_becomes_a_debt_that_drains(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(tokens_per_minute=600)
    rates.take("k", tokens=100)
    rates.correct("k", 1100)
    assert (left(rates), rates.take("k", tokens=60)) == ([0], 66.0)
    virtual_loop.advance(66)
    assert rates.take("k", tokens=60) == 0.0


async def test_a_correction_of_nothing_makes_no_bucket() -> None:
    rates = limit(tokens_per_minute=600)
    rates.correct("k", 0)
    rates.correct("k", -100)
    assert rates.snapshot()["keys"] == 0


async def test_a_key_that_was_forgotten_has_its_bucket_again_if_it_used_more(virtual_loop: VirtualTimeLoop) -> None:
    rates = limit(tokens_per_minute=600, key="ip")
    rates.take("slow", tokens=100)
    virtual_loop.advance(600)
    rates.take("other", tokens=100)
    assert rates.snapshot()["keys"] == 1, "it is forgotten"
    rates.correct("slow", -50)
    assert rates.snapshot()["keys"] == 1
    rates.correct("slow", 900)
    assert (left(rates, "slow"), rates.snapshot()["keys"]) == ([0], 2)
    virtual_loop.advance(91)
    rates.take("third", tokens=100)
    assert rates.snapshot()["keys"] == 1, "and is forgotten again"


async def test_where_no_bucket_is_left_a_correction_goes_to_the_shared_one() -> None:
    rates = limit(tokens_per_minute=600, key="ip", max_keys=1)
    rates.take("a", tokens=100)
    rates.take("b", tokens=100)
    rates.correct("b", 300)
    rates.correct("b", -300)
    assert (left(rates, "a"), left(rates, "c")) == ([500], [200])


# Over a reload.


async def test_a_changed_window_keeps_its_share_and_its_debt() -> None:
    old = limit(per_minute=10, tokens_per_minute=600, key="ip")
    old.take("half", tokens=300)
    old.take("debt", tokens=300)
    old.correct("debt", 600)
    new = limit(per_minute=10, tokens_per_minute=1200, key="ip")
    new.adopt(old)
    assert (left(new, "half"), left(new, "debt")) == ([9, 600], [9, 0])
    assert new.take("debt", tokens=1) == pytest.approx(30.05)


async def test_tokens_and_requests_do_not_stand_for_each_other() -> None:
    old = limit(per_minute=10, key="ip")
    for _ in range(10):
        old.take("k")
    new = limit(per_minute=10, tokens_per_minute=600, key="ip")
    new.adopt(old)
    assert left(new) == [0, 600]
    tokens = limit(tokens_per_minute=600, key="ip")
    tokens.take("k", tokens=600)
    tokens.correct("k", 600)
    requests = limit(per_hour=10, key="ip")
    requests.adopt(tokens)
    assert left(requests) == [10], "else a debt of tokens would lock it for two hours"


# Anything in any order.

SIZE = 600
STEPS = st.lists(st.tuples(st.floats(0, 30), st.integers(1, SIZE), st.integers(-SIZE, 2 * SIZE)), max_size=40)


@given(steps=STEPS)
def test_never_more_is_used_than_the_rate_allows_and_was_underestimated(steps: list[tuple[float, int, int]]) -> None:
    """At any moment: used <= size + rate * time + what was corrected upwards. Who waits as long as told passes."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        began = loop.time()
        rates = RateLimit(RateLimitSettings(tokens_per_minute=SIZE), loop.time)
        used = upwards = 0.0
        for pause, tokens, error in steps:
            loop.advance(pause)
            if wait := rates.take("k", tokens=tokens):
                loop.advance(wait)
                assert rates.take("k", tokens=tokens) == 0.0
            used += tokens
            assert used <= SIZE + (loop.time() - began) * SIZE / 60 + upwards + 1e-3
            correction = max(error, -tokens)
            rates.correct("k", correction)
            used += correction
            upwards += max(correction, 0)

    run(play())
