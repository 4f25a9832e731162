"""The last moves of breakers, so that a traced call can tell which of them fell into its time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

KEPT = 64
"""Breakers move seldom; a call that lasts longer than so many moves misses the first ones."""


class Move(NamedTuple):
    """A breaker went from one state to another. `at` is Unix time, nanoseconds."""

    at: int
    breaker: str
    old: str
    new: str

    def said(self) -> dict[str, str | int | float | bool]:
        """As the attributes of an event."""
        return {"sidecar.breaker": self.breaker, "sidecar.breaker.from": self.old, "sidecar.breaker.to": self.new}


class Moves:
    """The last ones, oldest first."""

    __slots__ = ("_moves",)

    def __init__(self, kept: int = KEPT) -> None:
        self._moves: deque[Move] = deque(maxlen=kept)

    def add(self, at: int, breaker: str, old: str, new: str) -> None:
        self._moves.append(Move(at, breaker, old, new))

    def since(self, at: int, breakers: Collection[str]) -> Iterator[Move]:
        """Those of these breakers from that moment on."""
        moves = self._moves
        if not moves or moves[-1].at < at:  # nearly every call
            return iter(())
        return (move for move in moves if move.at >= at and move.breaker in breakers)
