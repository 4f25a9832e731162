"""The retry budget: retries stay a share of traffic, so that they cannot double an outage.

Calls fill it and retries on the same target draw from it (the idea is Finagle's
`RetryBudget`). Counts are kept in a ring of one-second slots over the last 10 s,
the running second included; the oldest second is forgotten whole. O(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 10
"""Seconds over which calls and retries are counted."""

_ROUNDING = 1e-9
"""0.29 * 100 is a little less than 29: a share written in decimals must pay what it says."""


class RetryBudget:
    """Pays `ratio` retries per call of the last 10 s, and always `min_per_second` * 10 s of them."""

    __slots__ = (
        "_calls",
        "_calls_by_second",
        "_clock",
        "_floor",
        "_ratio",
        "_retries",
        "_retries_by_second",
        "_second",
    )

    def __init__(self, ratio: float, min_per_second: float, clock: Callable[[], float]) -> None:
        self._ratio = ratio
        self._floor = min_per_second * WINDOW
        self._clock = clock
        self._second = int(clock())
        self._calls_by_second = [0] * WINDOW
        self._retries_by_second = [0] * WINDOW
        self._calls = 0
        self._retries = 0

    def deposit(self) -> None:
        """A call came."""
        self._turn()
        self._calls += 1
        self._calls_by_second[self._second % WINDOW] += 1

    def withdraw(self) -> bool:
        """Pay for one retry; False when there is too little, and then nothing is drawn."""
        if self.balance < 1.0 - _ROUNDING:
            return False
        self.charge()
        return True

    def charge(self) -> None:
        """A retry that is the caller's own: drawn, never refused."""
        self._turn()
        self._retries += 1
        self._retries_by_second[self._second % WINDOW] += 1

    @property
    def balance(self) -> float:
        """Retries that could be paid now; negative after charges beyond it."""
        self._turn()
        return max(self._ratio * self._calls, self._floor) - self._retries

    def _turn(self) -> None:
        """Forget the seconds that have left the window."""
        second = int(self._clock())
        passed = second - self._second
        if not passed:
            return
        for ago in range(min(passed, WINDOW)):
            slot = (second - ago) % WINDOW
            self._calls -= self._calls_by_second[slot]
            self._retries -= self._retries_by_second[slot]
            self._calls_by_second[slot] = self._retries_by_second[slot] = 0
        self._second = second
