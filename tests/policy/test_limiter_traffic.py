"""Limits in traffic that does anything in any order: never more than rate * time + burst, and no call is lost."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sidecar.policy.limiter import RateLimit, windows_of
from sidecar.settings import RateLimitSettings
from tests.kit.virtual_loop import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = RateLimitSettings(per_second=2, per_minute=30, burst=3, key="ip", max_keys=3)
SHARED = "shared"


class Traffic(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.limit = RateLimit(SETTINGS, self.loop.time)
        self.taken: dict[str, list[float]] = defaultdict(list)
        """When calls passed, by whom they count for."""

    def teardown(self) -> None:
        self.loop.close()

    def on_loop(self, act: Callable[[], float]) -> float:
        async def run() -> float:
            return act()

        return self.loop.run_until_complete(run())

    @rule(key=st.sampled_from("abcdef"))
    def call(self, key: str) -> None:
        self.take(key)

    @rule(key=st.sampled_from("abcdef"), times=st.integers(2, 12))
    def burst(self, key: str, times: int) -> None:
        for _ in range(times):
            self.take(key)

    @rule(key=st.sampled_from("abcdef"))
    def wait_as_told(self, key: str) -> None:
        wait = self.take(key)
        self.loop.advance(wait)
        if wait:
            assert self.take(key) == 0.0, "who waits as told passes"

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.7, 10, 61, 600]))
    def pass_time(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def take(self, key: str) -> float:
        shared = self.limit.snapshot()["shared_calls"]
        before = self.on_loop(lambda: sum(quota.remaining for quota in self.limit.quotas(key)))
        wait = self.on_loop(lambda: self.limit.take(key))
        owner = SHARED if self.limit.snapshot()["shared_calls"] != shared else key
        if wait:
            after = self.on_loop(lambda: sum(quota.remaining for quota in self.limit.quotas(key)))
            assert owner == SHARED or after == before, "a refusal takes nothing"
        else:
            self.taken[owner].append(self.loop.time())
        return wait

    @invariant()
    def never_more_than_rate_and_burst(self) -> None:
        for moments in self.taken.values():
            for window in windows_of(SETTINGS):
                rate = window.limit / window.seconds
                for at, begin in enumerate(moments):
                    assert len(moments) - at <= rate * (moments[-1] - begin) + window.burst + 1e-6

    @invariant()
    def memory_is_bounded(self) -> None:
        keys = self.limit.snapshot()["keys"]
        assert isinstance(keys, int)
        assert keys <= SETTINGS.max_keys


TestTraffic = Traffic.TestCase
TestTraffic.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)
