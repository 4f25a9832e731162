"""A target that said "later" is left alone until then: by everybody, or by those who call it with one credential."""

from __future__ import annotations

MOST_CREDENTIALS = 1000
"""How many credentials' rests one target keeps: their number is the callers'."""


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


class Rests(Rest):
    """The rest of a target that is also called with the callers' own credentials.

    What one of those brought about (a limit that is full, a key that is refused, money that ran out) says nothing of
    the others. `Rest`'s own part is for everybody. Credentials are told apart by a digest, and the empty one stands
    for no credential of a caller's.
    """

    __slots__ = ("_own",)

    def __init__(self) -> None:
        super().__init__()
        self._own: dict[str, Rest] = {}

    def rest_credential(self, digest: str, until: float, cause: str, now: float) -> None:
        """Rest for this credential only; of the empty digest, for everybody.

        Beyond 1,000 credentials those are forgotten whose rest is over, then the one whose rest ends soonest.
        """
        if not digest:
            self.rest(until, cause)
            return
        own = self._own.get(digest)
        if own is None:
            own = self._own[digest] = Rest()
        own.rest(until, cause)
        if len(self._own) > MOST_CREDENTIALS:
            self._forget(now)

    def left_for(self, digest: str, now: float) -> tuple[float, str]:
        """Seconds still to come for this credential and why: the longer of everybody's rest and its own, 0.0 and no
        cause for none. Of the empty digest everybody's alone.
        """
        rest: Rest = self
        own = self._own.get(digest)
        if own is not None and own.until > self.until:
            rest = own
        left = rest.left(now)
        return (left, rest.cause) if left else (0.0, "")

    def _forget(self, now: float) -> None:
        self._own = {digest: rest for digest, rest in self._own.items() if rest.until > now}
        if len(self._own) > MOST_CREDENTIALS:
            del self._own[min(self._own, key=lambda digest: self._own[digest].until)]
