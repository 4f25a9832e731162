"""A provider's own rate limit: so many requests and tokens a window, counted for all callers together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Left:
    """What a request found. `reset` is the seconds until the window begins anew."""

    limit_requests: int
    limit_tokens: int
    requests: int
    tokens: int
    reset: float
    granted: bool


class Limits:
    """A fixed window that begins with its first request. A refused request takes nothing."""

    def __init__(
        self, requests: int = 10_000, tokens: int = 2_000_000, window: float = 60.0, *, clock: Callable[[], float]
    ) -> None:
        self.requests = requests
        self.tokens = tokens
        self.window = window
        self._clock = clock
        self._ends = 0.0
        self._taken = [0, 0]

    def take(self, tokens: int) -> Left:
        """Count a request that costs so many tokens, if there is room for it."""
        now = self._clock()
        if now >= self._ends:
            self._ends = now + self.window
            self._taken = [0, 0]
        granted = self._taken[0] < self.requests and self._taken[1] + tokens <= self.tokens
        if granted:
            self._taken[0] += 1
            self._taken[1] += tokens
        return Left(
            self.requests,
            self.tokens,
            self.requests - self._taken[0],
            self.tokens - self._taken[1],
            self._ends - now,
            granted,
        )
