"""The circuit breaker: pybreaker's states, driven in two phases.

A proxy cannot wrap a call in pybreaker's `call`: it learns how an attempt went at
evidence, long before the reply ends, and a caller that leaves must count as
nothing. So the states' own hooks are used directly:

    permit = breaker.acquire()      # state.before_call, or BreakerOpen
    permit.succeed(seconds)         # state._handle_success
    permit.fail()                   # state._handle_error
    permit.release()                # neither: nobody's fault

The states themselves are in `policy/circuit.py`.

Three rules hold:

1. A permit is settled once; what comes later does nothing. Only `broke` may add
   a failure to a success, when a stream that had begun well is cut.
2. The state object is the era. Each transition makes a new one, so a result
   counts only if `permit`'s state is still the circuit's: a late failure cannot
   reopen what has closed, nor a late success close what has opened.
3. While half-open at most `probes` permits are out. A probe that shows no
   evidence within `probe_timeout` gives its place back, seen when the next one asks.

Time open: `recovery_first` after the first trip, doubled by each failed probe up
to `recovery_timeout`, and back to the first once the circuit has closed. All times are seconds of the
injected clock; pybreaker's own wall clock is kept for people only (`opened_at`).

What other sidecars say of the same target (`suspect`, `hurry`) neither opens nor
closes anything: it makes the next failure enough, or the next probe due.
"""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING

from sidecar.policy.circuit import NAMES, Circuit, HalfOpen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidecar.policy.circuit import Cause, Clock, State, StateName
    from sidecar.settings import CircuitBreakerSettings

    Listener = Callable[["Breaker", str, str], None]


class Permit:
    """The right to make one attempt. The first of `succeed`, `fail` and `release` settles it."""

    __slots__ = ("_circuit", "_era", "_succeeded", "settled")

    def __init__(self, circuit: Circuit, era: State) -> None:
        self._circuit = circuit
        self._era = era
        self._succeeded = False
        self.settled = False

    def succeed(self, seconds: float, *, streamed: bool = False) -> None:
        """The target is well; `seconds` is the time to evidence. Slower than `slow_call` is a failure. `streamed`: by
        an LLM's stream, one of which is probe enough unless the policy file says how many.
        """
        if self.settled:
            return
        if seconds > self._circuit.slow_call:
            self.fail()
            return
        self.settled = self._succeeded = True
        self._circuit.hear_success(self._era, enough=streamed)

    def fail(self) -> None:
        if self.settled:
            return
        self.settled = True
        self._circuit.hear_failure(self._era)

    def release(self) -> None:
        """Nothing was learnt: no count moves, and a probe's place is free again."""
        self.settled = True

    def broke(self) -> None:
        """The stream was cut after its success was told: that success is followed by a failure, once."""
        if not self.settled:
            self.fail()
        elif self._succeeded:
            self._succeeded = False
            self._circuit.hear_failure(self._era)


class Breaker:
    """One target's circuit breaker.

    `listeners` are called as `(breaker, old, new)` after a transition is complete,
    and must not raise. Nothing here is for several threads.
    """

    __slots__ = ("_circuit", "listeners", "name", "settings")

    def __init__(
        self, name: str, settings: CircuitBreakerSettings, clock: Clock, listeners: Iterable[Listener] = ()
    ) -> None:
        self.name = name
        self.settings = settings
        self.listeners = tuple(listeners)
        self._circuit = Circuit(name, settings, clock, self._tell)

    def acquire(self) -> Permit:
        """A permit for one attempt, to be settled by the caller; raises `BreakerOpen`."""
        circuit = self._circuit
        era = circuit.admit()
        permit = Permit(circuit, era)
        if isinstance(era, HalfOpen):
            era.admit(permit)
        return permit

    def would_admit(self) -> bool:
        """Would `acquire` give a permit now? Takes nothing and moves nothing."""
        return self.retry_after() == 0.0

    def retry_after(self) -> float:
        """Seconds until a permit may be had: 0.0 for now, infinity when nobody knows (opened by hand)."""
        return self._circuit.era.retry_after()

    @property
    def state(self) -> StateName:
        """An open circuit whose time is over reads `half_open`, also before someone asks for a permit."""
        name = NAMES[self._circuit.era.name]
        return "half_open" if name == "open" and not self.retry_after() else name

    def force_open(self) -> None:
        """Refuse everything until `reset`."""
        self._circuit.forced = True
        if NAMES[self._circuit.era.name] != "open":
            self._circuit.move("open", "hand")

    def reset(self) -> None:
        """Closed, with an empty window; what is in flight belongs to an earlier era."""
        self._circuit.move("closed", "hand")

    def suspect(self) -> bool:
        """Another sidecar's has opened: for as long as a result of our own counts (`window_time`) one failure is
        enough, unless a success is heard before it. No call is refused for it. True if that is new to a closed one.
        """
        return self._circuit.suspect()

    def hurry(self) -> bool:
        """Another sidecar's has closed again: the next call may be a probe at once. If that fails, the time open is
        not doubled, and no more hurry is made until the own time is over. True if that cuts a wait short.
        """
        return self._circuit.hurry()

    @property
    def cause(self) -> Cause:
        """What the last move came by: calls of our own, a failure that was enough for hearsay, or somebody's hand."""
        return self._circuit.cause

    def snapshot(self) -> dict[str, object]:
        """The numbers of `GET /circuit-breakers`.

        `failure_count` and `total_calls` are since the start, `recent_failures`
        those in the window. `opened_at` (RFC 3339) and `retry_after` (seconds) are
        there while the circuit is not closed, and the time is known; `suspected`
        while one failure is enough.
        """
        circuit = self._circuit
        numbers: dict[str, object] = {
            "state": self.state,
            "failure_count": circuit.numbers.failures,
            "recent_failures": circuit.numbers.counter,
            "total_calls": circuit.numbers.calls,
        }
        if circuit.suspected:
            numbers["suspected"] = True
        opened_at = circuit.numbers.opened_at
        if opened_at is not None and self.state != "closed":
            numbers["opened_at"] = opened_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            wait = self.retry_after()
            if wait < math.inf:
                numbers["retry_after"] = round(wait, 3)
        return numbers

    def _tell(self, old: str, new: str) -> None:
        for listener in self.listeners:
            listener(self, old, new)
