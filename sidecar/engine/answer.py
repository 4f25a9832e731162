"""Which answer the caller gets when none was committed.

What the first target that answered said last; a later target's refusal would
mislead. If none answered, our own error: of the first target that was
attempted, else of the first that was skipped; that a target cannot carry the call is
told only where it is true of all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.call import Reply, Sign, What
from sidecar.errors import (
    BodyTooLarge,
    CircuitOpen,
    DeadlineExceeded,
    NotTranslatable,
    Overloaded,
    RateLimited,
    Refused,
    UpstreamAuthFailed,
    UpstreamConnectFailed,
    UpstreamProtocolError,
    UpstreamReset,
)
from sidecar.replies import let_go

if TYPE_CHECKING:
    from sidecar.call import Facts
    from sidecar.engine.route import Target

HELD_BYTES = 64 * 1024
"""An answer that may be replaced is read whole up to this size (bytes)."""

BUSY_RETRY_AFTER = 1.0
"""What a caller is told (seconds) when we are the busy ones: nobody knows, a second spreads the rush."""

THROTTLING = frozenset({"throttled", "unavailable"})
"""Causes of a rest that end by themselves at a moment the target told (rows 8 and 10)."""

_ERROR_OF: dict[What, type[Refused]] = {
    What.NO_CONNECTION: UpstreamConnectFailed,
    What.DEAD_UNWRITTEN: UpstreamReset,
    What.DEAD_WRITTEN: UpstreamReset,
    What.RESET: UpstreamReset,
    What.BROKE: UpstreamReset,  # while the body of an answer was read that may be replaced
    What.UNPARSEABLE: UpstreamProtocolError,
    What.TIMED_OUT: DeadlineExceeded,
    What.CALLER_DEADLINE: DeadlineExceeded,
    What.CANNOT_CARRY: NotTranslatable,
    What.OVERLOADED: Overloaded,
}

_REST_ERROR: dict[str, type[Refused]] = {
    "throttled": RateLimited,
    "unavailable": RateLimited,
    "out_of_money": RateLimited,
    "auth_failed": UpstreamAuthFailed,
    "unhealthy": UpstreamConnectFailed,
}


def own_error(facts: Facts, target: Target) -> Refused:
    """Our answer for an attempt that ended without a reply."""
    if facts.sign is Sign.OWN_CREDENTIAL_REFUSED:
        return UpstreamAuthFailed(f"{target.name} refuses our credential")
    if facts.sign is Sign.TOO_LARGE:
        return BodyTooLarge(f"{target.name} cannot take a request of this size: {facts.detail}")
    detail = f": {facts.detail}" if facts.detail else ""
    busy = BUSY_RETRY_AFTER if facts.what is What.OVERLOADED else None
    return _ERROR_OF[facts.what](f"{target.name}: {facts.what.value}{detail}", retry_after=busy)


def resting(target: Target, cause: str, left: float) -> Refused:
    """Our answer for a target that was skipped because it rests."""
    error = _REST_ERROR.get(cause, CircuitOpen)
    return error(f"{target.name} rests ({cause})", retry_after=left)


class Answers:
    """What is known so far of a call that is not committed."""

    held: Reply | None = None
    holder: Target | None = None
    soonest = float("inf")
    """The least wait that a skipped target told (seconds)."""
    _attempted: tuple[Target, Refused] | None = None
    _skipped: Refused | None = None

    def replied(self, target: Target, reply: Reply) -> None:
        """Hold the reply if its target was the first to answer, else let it go."""
        if self.holder is None or self.holder is target:
            self.drop()
            self.held, self.holder = reply, target
        else:
            let_go(reply)

    def failed(self, target: Target, facts: Facts) -> None:
        if facts.what is What.CANNOT_CARRY:  # nothing was sent
            self.skipped(own_error(facts, target))
        elif self._attempted is None or self._attempted[0] is target:
            self._attempted = (target, own_error(facts, target))

    def skipped(self, refusal: Refused) -> None:
        if refusal.retry_after is not None:
            self.soonest = min(self.soonest, refusal.retry_after)
        if self._skipped is None or _says_less(self._skipped) > _says_less(refusal):
            self._skipped = refusal

    def drop(self) -> None:
        """The held reply will not be needed: give its connection back."""
        if self.held is not None:
            let_go(self.held)
        self.held = None

    def error(self) -> Refused:
        """What to answer when no reply is held."""
        if self._attempted is not None:
            return self._attempted[1]
        assert self._skipped is not None, "a chain has a target"
        if isinstance(self._skipped, RateLimited | CircuitOpen) and self.soonest < float("inf"):
            self._skipped.retry_after = self.soonest
        return self._skipped


def _says_less(refusal: Refused) -> int:
    """0 for a target that would have taken the call, another day; more for one that never could."""
    if isinstance(refusal, BodyTooLarge):
        return 1
    return 2 if isinstance(refusal, NotTranslatable) else 0
