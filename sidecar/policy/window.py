"""The last results of a target: a window bounded by count and by age."""

from __future__ import annotations

from collections import deque


class Window:
    """Failures among the last `size` results that are younger than `seconds`.

    Every operation is O(1) amortised: each result goes in once and out once, and
    the failures among them are counted on the way.
    """

    __slots__ = ("_failures", "_results", "_seconds", "_size")

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._results: deque[tuple[float, bool]] = deque()
        self._failures = 0

    def record(self, now: float, failed: bool) -> None:
        results = self._results
        if len(results) >= self._size:
            self._drop()
        results.append((now, failed))
        if failed:
            self._failures += 1
        if now - results[0][0] >= self._seconds:
            self._age(now)

    def failures(self, now: float) -> int:
        self._age(now)
        return self._failures

    def total(self, now: float) -> int:
        self._age(now)
        return len(self._results)

    def clear(self) -> None:
        self._results.clear()
        self._failures = 0

    def _age(self, now: float) -> None:
        results, seconds = self._results, self._seconds
        while results and now - results[0][0] >= seconds:
            self._drop()

    def _drop(self) -> None:
        if self._results.popleft()[1]:
            self._failures -= 1
