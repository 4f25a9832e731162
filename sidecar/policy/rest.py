"""A target that said "later" is left alone until then."""

from __future__ import annotations


class Rest:
    """Until when a target is skipped by all calls, and why. Of two rests the longer wins, with its cause."""

    __slots__ = ("cause", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self.cause = ""

    def rest(self, until: float, cause: str) -> None:
        """Rest until a moment of the injected clock; `cause` is a label from a closed set."""
        if until > self.until:
            self.until = until
            self.cause = cause

    def clear(self, cause: str) -> None:
        """End a rest of this cause."""
        if self.cause == cause:
            self.until = 0.0

    def left(self, now: float) -> float:
        """Seconds of rest still to come; 0.0 for none, and then `cause` is history."""
        return max(0.0, self.until - now)
