"""Several addresses of one upstream: which one to use, and which to leave aside for a while.

Two random choices, and of these the one with fewer calls in flight: nearly as
even as asking all of them, and no herd runs to the one that just came back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FAILURES_IN_A_ROW = 3
FIRST_ASIDE = 1.0
LONGEST_ASIDE = 30.0
"""Seconds."""


@dataclass(slots=True)
class _Address:
    inflight: int = 0
    failures: int = 0
    """In a row."""
    aside: float = 0.0
    """How long it was set aside the last time, 0 since its last success."""
    until: float = 0.0


class Addresses:
    """Addresses are known by their index. With one address every answer is trivial.

    Three failures in a row set an address aside for 1 s; each further failure
    after its return doubles that, up to 30 s; a success forgets all. When all are aside, all are used.
    """

    __slots__ = ("_addresses", "_clock", "_rng")

    def __init__(self, count: int, clock: Callable[[], float], rng: Callable[[], float]) -> None:
        self._addresses = [_Address() for _ in range(count)]
        self._clock = clock
        self._rng = rng

    def pick(self, tried: Sequence[int] = ()) -> int:
        """The address for the next attempt. `tried` are those of the attempts before, the last one last: one of
        them is taken again only when no other is well, and the last of them only when it is alone.
        """
        if len(self._addresses) == 1:
            return 0
        choice = self._well() or list(range(len(self._addresses)))
        if tried:
            fresh = [index for index in choice if index not in tried]
            choice = fresh or [index for index in choice if index != tried[-1]] or choice
        first = choice.pop(int(self._rng() * len(choice)))
        if not choice:
            return first
        second = choice[int(self._rng() * len(choice))]
        return second if self._addresses[second].inflight < self._addresses[first].inflight else first

    def started(self, index: int) -> None:
        self._addresses[index].inflight += 1

    def ended(self, index: int) -> None:
        self._addresses[index].inflight -= 1

    def succeeded(self, index: int) -> None:
        address = self._addresses[index]
        if address.failures:
            address.failures = 0
            address.aside = address.until = 0.0

    def failed(self, index: int) -> bool:
        """Count a failure. True: the breaker should hear it, since most addresses are aside or no other is well."""
        address, now = self._addresses[index], self._clock()
        address.failures += 1
        # Calls that were in flight when it was set aside say nothing new.
        if address.failures >= FAILURES_IN_A_ROW and address.until <= now:
            address.aside = min(address.aside * 2 or FIRST_ASIDE, LONGEST_ASIDE)
            address.until = now + address.aside
        well = self._well()
        return 2 * len(well) < len(self._addresses) or well in ([], [index])

    def snapshot(self) -> list[dict[str, object]]:
        """One entry per address, in order: `inflight`, `failures` in a row, seconds it is still `aside`."""
        now = self._clock()
        return [
            {
                "inflight": address.inflight,
                "failures": address.failures,
                "aside": round(max(0.0, address.until - now), 3),
            }
            for address in self._addresses
        ]

    def _well(self) -> list[int]:
        now = self._clock()
        return [index for index, address in enumerate(self._addresses) if address.until <= now]
