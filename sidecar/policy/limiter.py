"""Rate limits: leaky buckets, built on aiolimiter's, that answer at once instead of waiting.

A bucket leaks at the limit's rate and each call fills it by one; a call that does
not fit is told how long it would have to wait. That is GCRA (virtual scheduling):
exact, no edges of fixed windows, one number per bucket. *Rate r with burst b* is
`AsyncLimiter(b, b / r)`.

Windows count requests, and one may count LLM tokens. What a call will use of those is
an estimate when it is taken, and told by `correct` when the call has ended.

Nothing here awaits: `take` says "taken" or "in so many seconds", and the engine
does the sleeping and asks again. The clock is the running loop's, as aiolimiter has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING

from aiolimiter import AsyncLimiter

from sidecar.quota import Quota

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.settings import RateLimitSettings

_ROUNDING = 1e-9
"""Of what a bucket holds. Who waited as long as told must not be turned away for the last bit of a float."""

REQUESTS, TOKENS = "requests", "tokens"
"""What a window counts."""

LOOKS = 8
"""How many buckets one new key may look at for idle ones: what a call may cost is bounded."""


class Limiter(AsyncLimiter):
    """One leaky bucket: `max_rate` at once, `max_rate / time_period` per second.

    Built on three protected names of aiolimiter (`_leak`, `_level`,
    `_rate_per_sec`), held by tests/policy/test_foreign_names.py.
    """

    __slots__ = ()

    def time_until(self, amount: float = 1.0) -> float:
        """Seconds until `amount` would fit, 0.0 for now, infinity for more than the bucket holds. Takes nothing."""
        self._leak()
        over = self._level + amount - self.max_rate
        if over <= _ROUNDING * self.max_rate:
            return 0.0
        return over / self._rate_per_sec if amount <= self.max_rate else math.inf

    def take(self, amount: float = 1.0) -> float:
        """0.0 and taken, or the wait in seconds and nothing taken."""
        wait = self.time_until(amount)
        if not wait:
            self._level += amount
        return wait

    @staticmethod
    def take_all(limiters: tuple[Limiter, ...], amount: float = 1.0) -> float:
        """0.0 and taken from all of them, or the longest wait and nothing taken from any."""
        longest = 0.0
        for limiter in limiters:
            wait = limiter.time_until(amount)
            longest = max(wait, longest)
        if not longest:
            for limiter in limiters:
                limiter._level += amount  # noqa: SLF001 - of our own class, leaked a moment ago
        return longest

    def charge(self, amount: float) -> None:
        """Add what has been used already. The level may pass the maximum: a debt that drains."""
        self._leak()
        self._level += amount

    def give_back(self, amount: float) -> None:
        """Take off what was taken and not used; what has drained meanwhile is not given back a second time."""
        self._leak()
        self._level = max(self._level - amount, 0.0)

    @property
    def idle(self) -> bool:
        """Drained: equal to a new one, so that forgetting it loses nothing."""
        return self.drained_in == 0.0

    @property
    def drained_in(self) -> float:
        """Seconds until it is idle if nothing more comes."""
        self._leak()
        return self._level / self._rate_per_sec if self._level > _ROUNDING * self.max_rate else 0.0

    @property
    def free(self) -> float:
        """How much fits now; negative while in debt."""
        self._leak()
        return self.max_rate - self._level

    @free.setter
    def free(self, free: float) -> None:
        self._leak()
        self._level = self.max_rate - free

    @property
    def share(self) -> float:
        """How full it is: 0 for idle, 1 for full, more in debt."""
        self._leak()
        return self._level / self.max_rate

    @share.setter
    def share(self, share: float) -> None:
        self._leak()
        self._level = share * self.max_rate


@dataclass(frozen=True, slots=True)
class Window:
    """`limit` calls (or tokens, by `unit`) per `seconds`, at most `burst` of them at once."""

    limit: int
    seconds: float
    burst: int
    unit: str = REQUESTS

    def quota(self, free: float) -> Quota:
        """What the caller may be told when so much is free."""
        remaining = int(free + _ROUNDING * self.burst)
        if remaining > self.limit:  # the burst may be larger than the count
            remaining = self.limit
        elif remaining < 0:  # in debt
            remaining = 0
        return Quota(self.limit, self.seconds, remaining, (self.burst - free) * self.seconds / self.limit, self.unit)

    def limiter(self) -> Limiter:
        return Limiter(self.burst, self.burst * self.seconds / self.limit)


def windows_of(settings: RateLimitSettings) -> tuple[Window, ...]:
    """The windows that are set: those of requests, shortest first, then that of tokens.

    `burst` is of the shortest one of requests; the others may burst to their count.
    """
    counts = (
        (settings.per_second, 1.0),
        (settings.per_minute, 60.0),
        (settings.per_hour, 3600.0),
        (settings.per_day, 86400.0),
    )
    counted = [(limit, seconds) for limit, seconds in counts if limit]
    windows = [
        Window(limit, seconds, (settings.burst if index == 0 else 0) or limit)
        for index, (limit, seconds) in enumerate(counted)
    ]
    if settings.tokens_per_minute:
        windows.append(Window(settings.tokens_per_minute, 60.0, settings.tokens_per_minute, TOKENS))
    return tuple(windows)


class _Bucket:
    """What one key has used: a limiter per window. A call takes from all of them or from none."""

    __slots__ = ("limiters", "requests", "tokens", "told_by", "windows")

    def __init__(self, windows: tuple[Window, ...]) -> None:
        self.told_by: object = None
        """Who said last how full it is; None: it was counted here."""
        self._set(windows)

    def _set(self, windows: tuple[Window, ...]) -> None:
        self.windows = windows
        self.limiters = limiters = tuple([window.limiter() for window in windows])
        counted = bool(windows) and windows[-1].unit == TOKENS
        self.tokens = limiters[-1] if counted else None
        self.requests = limiters[:-1] if counted else limiters

    def take(self, amount: float, tokens: float) -> float:
        """Who asks for no tokens is not held up by those that others have used.

        More tokens than the window ever holds are let in when it is empty; the rest is a debt, which those who come
        next wait for. Else such a call could never be made.
        """
        requests, bucket = self.requests, self.tokens
        if bucket is None or tokens <= 0:
            return requests[0].take(amount) if len(requests) == 1 else Limiter.take_all(requests, amount)
        wait = bucket.time_until(min(tokens, bucket.max_rate))
        if wait:
            return max([wait, *[limiter.time_until(amount) for limiter in requests]])
        wait = Limiter.take_all(requests, amount)
        if not wait:
            bucket.charge(tokens)
        return wait

    def correct(self, tokens: float) -> None:
        assert self.tokens is not None, "asked of limits that count tokens"
        if tokens > 0:
            self.tokens.charge(tokens)
        else:
            self.tokens.give_back(-tokens)

    @property
    def drained_in(self) -> float:
        return max((limiter.drained_in for limiter in self.limiters), default=0.0)

    def adapt(self, windows: tuple[Window, ...]) -> None:
        """Take on other windows. Each is as full as the one of the same unit and length was, a new one as the fullest
        of its unit: a debt of tokens is none of requests.
        """
        shares: dict[tuple[str, float], float] = {}
        fullest: dict[str, float] = {}
        for window, limiter in zip(self.windows, self.limiters, strict=True):
            share = shares[window.unit, window.seconds] = limiter.share
            fullest[window.unit] = max(share, fullest.get(window.unit, 0.0))
        self._set(windows)
        for window, limiter in zip(windows, self.limiters, strict=True):
            limiter.share = shares.get((window.unit, window.seconds), fullest.get(window.unit, 0.0))

    def quotas(self) -> list[Quota]:
        """What the caller may be told. Never more than the window's count, though the burst may be larger."""
        return [window.quota(limiter.free) for window, limiter in zip(self.windows, self.limiters, strict=True)]


class RateLimit:
    """A rate limit as a policy file has it: several windows at once, a bucket per key, and bounded memory.

    A bucket is forgotten once it is idle. When `max_keys` are busy, new keys
    share one bucket. Each kept bucket has one entry in a heap, by the moment at
    which it was last seen to become idle; that moment can only move on, and a look
    at the heap's top moves it: O(log n), at most `LOOKS` per new key, nothing for a known one.
    """

    __slots__ = ("_buckets", "_by_idle", "_clock", "_shared", "counts_tokens", "settings", "shared_calls", "windows")

    def __init__(self, settings: RateLimitSettings, clock: Callable[[], float]) -> None:
        """`clock` is the running loop's `time`, which aiolimiter reads by itself."""
        self.settings = settings
        self.shared_calls = 0
        """Calls that found no bucket of their own."""
        self.counts_tokens = settings.tokens_per_minute > 0
        self._clock = clock
        self.windows = windows_of(settings)
        """Those that the policy file sets: a quota for each."""
        self._buckets: dict[str, _Bucket] = {}
        self._by_idle: list[tuple[float, str]] = []
        self._shared = _Bucket(self.windows)

    def take(self, key: str, amount: float = 1.0, tokens: float = 0.0) -> float:
        """0.0 and taken from all windows, or the longest wait in seconds and nothing taken from any.

        `amount` is of the windows of requests, `tokens` (an estimate) of the one of tokens.
        """
        bucket = self._buckets.get(key)
        if bucket is None:
            return self._take_first(key, amount, tokens)
        return self._current(bucket).take(amount, tokens)

    def correct(self, key: str, tokens: float) -> None:
        """Say by how many tokens the estimate was too low (positive) or too high (negative).

        More were used: they are charged, and may leave a debt that drains; a key that was forgotten meanwhile gets
        its bucket again. Fewer: they are given back to the bucket that the key still has, as far as it is not empty
        already. A key that drew on the shared bucket leaves there what it took.
        """
        if not self.counts_tokens or not tokens:
            return
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._current(bucket).correct(tokens)
        elif tokens > 0:
            self._charge_first(key, tokens)

    def quotas(self, key: str) -> list[Quota]:
        """What is left to this key, one entry per window: requests, shortest first, then tokens. Changes nothing."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._shared if self._full else _Bucket(self.windows)
        return self._current(bucket).quotas()

    def told(self, key: str, free: list[float], by: object) -> None:
        """Somebody else counts this key, and says what is free in each window: who counts here next goes on from there.
        Where there is room for no more keys nothing is kept.
        """
        bucket = self._buckets.get(key)
        if bucket is None:
            now = self._clock()
            bucket = self._room(now)
            if bucket is None:
                return
            self._hear(bucket, free, by)
            self._keep(key, bucket, now)
        else:
            self._hear(self._current(bucket), free, by)

    def untold(self, key: str, by: object) -> list[float] | None:
        """The levels of a bucket that this one has not told us of; None where there is nothing to tell."""
        bucket = self._buckets.get(key)
        if bucket is None or bucket.told_by is by:
            return None
        limiters = self._current(bucket).limiters
        return None if not bucket.drained_in else [limiter.max_rate - limiter.free for limiter in limiters]

    def alone(self, key: str) -> None:
        """What was counted here just now nobody else has heard of."""
        if (bucket := self._buckets.get(key)) is not None:
            bucket.told_by = None

    def adopt(self, old: RateLimit) -> None:
        """Go on with the buckets of the limit that stood here before a reload.

        Moved whole, in O(1); a bucket is fitted to the new windows when its key next
        calls, and keeps the share that was used. Limits by another key start afresh: the
        old buckets say nothing of the new keys.
        """
        if old.settings.key == self.settings.key:
            self._buckets, self._by_idle, self._shared = old._buckets, old._by_idle, old._shared

    def snapshot(self) -> dict[str, object]:
        """The numbers of `GET /rate-limits`. Keys are callers' words and stay out of it."""
        numbers: dict[str, object] = {
            "key": str(self.settings.key),
            "store": self.settings.store,
            "windows": [
                {"unit": window.unit, "limit": window.limit, "seconds": window.seconds, "burst": window.burst}
                for window in self.windows
            ],
            "keys": len(self._buckets),
            "max_keys": self.settings.max_keys,
            "shared_calls": self.shared_calls,
        }
        if self.settings.key == "global":
            quotas = self.quotas(next(iter(self._buckets), ""))
            numbers["remaining"] = [quota.remaining for quota in quotas]
        return numbers

    @staticmethod
    def _hear(bucket: _Bucket, free: list[float], by: object) -> None:
        for limiter, left in zip(bucket.limiters, free, strict=True):
            limiter.free = left
        bucket.told_by = by

    @property
    def _full(self) -> bool:
        return len(self._buckets) >= self.settings.max_keys

    def _take_first(self, key: str, amount: float, tokens: float) -> float:
        now = self._clock()
        bucket = self._room(now)
        if bucket is None:
            self.shared_calls += 1
            return self._current(self._shared).take(amount, tokens)
        wait = bucket.take(amount, tokens)
        self._keep(key, bucket, now)
        return wait

    def _charge_first(self, key: str, tokens: float) -> None:
        now = self._clock()
        bucket = self._room(now)
        if bucket is None:
            self._current(self._shared).correct(tokens)
            return
        bucket.correct(tokens)
        self._keep(key, bucket, now)

    def _room(self, now: float) -> _Bucket | None:
        """A bucket for a new key, None when there is room for no more."""
        self._forget_idle(now)
        return None if self._full else _Bucket(self.windows)

    def _keep(self, key: str, bucket: _Bucket, now: float) -> None:
        self._buckets[key] = bucket
        heappush(self._by_idle, (now + bucket.drained_in, key))

    def _forget_idle(self, now: float) -> None:
        for _ in range(LOOKS):
            if not self._by_idle or self._by_idle[0][0] > now:
                return
            key = self._by_idle[0][1]
            busy = self._buckets[key].drained_in
            if busy:
                heapreplace(self._by_idle, (now + busy, key))
            else:
                heappop(self._by_idle)
                del self._buckets[key]

    def _current(self, bucket: _Bucket) -> _Bucket:
        if bucket.windows is not self.windows:
            bucket.adapt(self.windows)
        return bucket
