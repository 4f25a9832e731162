"""The script that decides in Redis, beside the limit that decides here: they say the same."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, settings
from hypothesis import given as tried
from hypothesis import strategies as st
from redis import Redis

from sidecar.policy.limiter import RateLimit, windows_of
from sidecar.settings import RateLimitSettings
from sidecar.stores.redis_script import CLOCK, SCRIPT, correction, decision, given, read
from tests.kit.redis_server import redis_server
from tests.kit.virtual_loop import START, VirtualTimeLoop, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.kit.redis_server import RedisServer

# The script on a clock that the test turns: its last argument, in microseconds.
TURNED = f"local MOMENT = table.remove(ARGV)\n{SCRIPT.replace(CLOCK, '{0, tonumber(MOMENT)}')}"

KEY = b"sidecar:{test:}"


class There:
    """A limit counted in Redis, at moments that the test names (seconds)."""

    def __init__(self, redis: Redis, **limits: Any) -> None:
        self.redis = redis
        self.now = START
        self.become(**limits)

    def become(self, **limits: Any) -> None:
        self.windows = given(windows_of(RateLimitSettings(**limits)))

    def take(self, amount: float = 1.0, tokens: float = 0.0, windows: tuple[bytes, ...] = ()) -> list[float]:
        return self._ask(decision(KEY, windows or self.windows, amount, tokens))

    def correct(self, tokens: float) -> list[float]:
        return self._ask(correction(KEY, self.windows, tokens))

    def _ask(self, arguments: Sequence[bytes]) -> list[float]:
        moment = b"%d" % round(self.now * 1_000_000)
        answer: Any = self.redis.execute_command("EVAL", TURNED, *arguments, moment)  # type: ignore[no-untyped-call]
        return [float(number) for number in answer]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One for all tests of this file: each begins with it empty."""
    with asyncio.Runner() as runner:
        context = redis_server()
        yield runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(server.url, protocol=2) as redis:
        redis.flushall()
        yield redis


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "per_second": st.integers(1, 20),
        "per_minute": st.integers(1, 100),
        "per_day": st.integers(1, 1000),
        "tokens_per_minute": st.integers(1, 1000),
        "burst": st.integers(1, 30),
    },
)
TOKENS = st.integers(0, 1500)
STEP = st.one_of(
    st.tuples(st.just("take"), st.sampled_from([1.0, 1.0, 1.0, 2.0, 50.0]), TOKENS),
    st.tuples(st.just("correct"), st.just(0.0), st.integers(-1500, 1500)),
)
STEPS = st.lists(st.tuples(st.integers(0, 5_000_000) | st.integers(0, 200_000_000), STEP), max_size=25)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@tried(LIMITS, STEPS, LIMITS, STEPS)
@example({"per_minute": 2}, [(0, ("take", 1.0, 0))] * 3, {"per_day": 100}, [(0, ("take", 1.0, 0))])
@example({"tokens_per_minute": 5}, [(0, ("take", 1.0, 900))] * 2, {"per_second": 3}, [(0, ("take", 1.0, 3))])
def test_there_is_said_what_is_said_here(
    redis: Redis, limits: dict[str, Any], before: list[Any], others: dict[str, Any], after: list[Any]
) -> None:
    """Over any sequence of calls and corrections, with a change of the limit in the middle of it."""
    redis.flushall()

    async def both() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        there = There(redis, **limits)
        here = RateLimit(RateLimitSettings(**limits), loop.time)
        for steps, then in ((before, others), (after, None)):
            for microseconds, (what, amount, tokens) in steps:
                loop.advance(microseconds / 1_000_000)
                there.now += microseconds / 1_000_000
                if what == "take":
                    told, *free = there.take(amount, tokens)
                    wait = here.take("", amount, tokens)
                    assert (told > 0) == (wait > 0)
                    assert told == pytest.approx(wait, rel=1e-6, abs=1e-5)
                else:
                    _, *free = there.correct(tokens)
                    here.correct("", tokens)
                quotas = here.quotas("")
                full_in = [quota.reset for quota in quotas]
                windows = windows_of(here.settings)
                said = [window.quota(left) for window, left in zip(windows, free, strict=True)]
                assert [quota.reset for quota in said] == pytest.approx(full_in, rel=1e-6, abs=1e-4)
            if then is not None:
                changed = RateLimit(RateLimitSettings(**then), loop.time)
                changed.adopt(here)
                here = changed
                there.become(**then)

    run(both())


def test_a_key_ends_when_it_says_no_more_than_none(redis: Redis) -> None:
    there = There(redis, per_minute=60, per_hour=60)
    there.take()
    assert 59_000 < redis.pttl(KEY) <= 60_001, "one of sixty an hour is gone in a minute"
    there.take()
    assert 119_000 < redis.pttl(KEY) <= 120_001
    assert set(redis.hkeys(KEY)) == {b"requests:60", b"requests:3600"}


def test_a_refused_call_writes_nothing(redis: Redis) -> None:
    there = There(redis, per_minute=1)
    there.take()
    before = redis.hgetall(KEY)
    there.now += 1
    assert there.take()[0] == pytest.approx(59)
    assert redis.hgetall(KEY) == before


def test_what_is_given_back_to_nobody_makes_no_bucket(redis: Redis) -> None:
    assert There(redis, tokens_per_minute=10).correct(-5) == [0.0, 10.0]
    assert redis.exists(KEY) == 0


def test_a_clock_that_is_put_back_stops_nobody_for_long(redis: Redis) -> None:
    there = There(redis, per_minute=1)
    there.take()
    there.now -= 3600
    assert there.take()[0] == 60.0
    there.now += 30
    assert there.take()[0] == 30.0, "it drains by the new clock from the moment it was seen"


def test_two_limits_of_one_name_keep_the_share_of_each_other(redis: Redis) -> None:
    """While a fleet takes a new file some sidecars have the old limit: calls of either count in both."""
    old, new = There(redis, per_minute=10), There(redis, per_minute=100)
    for _ in range(5):
        old.take()
    assert new.take() == [0.0, 49.0]
    assert old.take() == [0.0, pytest.approx(3.9)]


def test_a_level_that_is_brought_along_is_the_least(redis: Redis) -> None:
    limit = windows_of(RateLimitSettings(per_minute=10))
    there = There(redis, per_minute=10)
    assert there.take(windows=given(limit, [7.0])) == [0.0, 2.0]
    assert there.take(windows=given(limit, [7.0])) == [0.0, 1.0], "it is told again, and counts once"
    assert there.take(windows=given(limit, [10.0]))[0] == pytest.approx(6.0)
    assert there.take()[0] == pytest.approx(6.0), "also what let nothing pass is kept"


@pytest.mark.parametrize(
    "found",
    ["", "x", "1 2 3", "1 0 1 1", "1 1 0 1", "nan 1 1 1", "inf 1 1 1", "e e e e", "1 2 3 4 5", "\x00\xff",
     "1e999 1 1 1", "1 1e999 1 1", "1 1 1e999 1", "1e999 1e999 1e999 1e999", "1e308 1e-308 1e-308 1", "1e16 1 1e-9 1",
     "-1e308 1 1 1", "1 1 1 -1e999"],
)  # fmt: skip
def test_what_somebody_else_wrote_into_a_bucket_is_nothing(redis: Redis, found: str) -> None:
    redis.hset(KEY, "requests:60", found)
    redis.hset(KEY, "", found)
    assert There(redis, per_minute=3).take() == [0.0, 2.0]


def test_a_debt_of_ages_is_one_there_too(redis: Redis) -> None:
    """As many tokens as a provider is believed to have counted, and the slowest limit."""
    there = There(redis, tokens_per_minute=1)
    assert there.correct(2**53 - 1) == [0.0, 2.0 - 2**53]
    assert redis.pttl(KEY) > 9e14
    assert there.take(tokens=1.0)[0] == pytest.approx((2**53 - 1) * 60)


def test_more_than_a_bucket_holds_never_fits(redis: Redis) -> None:
    assert There(redis, per_minute=3).take(amount=4.0)[0] == math.inf


@pytest.mark.parametrize(
    "answer",
    [b"OK", b"", None, 7, [], [b"0"], [b"0", b"1", b"1"], [b"nan", b"1"], [b"0", b"nan"], [b"inf", b"1"],
     [b"0", b"inf"], [b"-1", b"1"], [b"x", b"1"], [None, b"1"], [[b"0"], b"1"]],
)  # fmt: skip
def test_what_is_no_decision_is_not_taken_for_one(answer: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        read(answer, 1)
