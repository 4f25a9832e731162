"""The circuit breaker: pybreaker's states, driven in two phases.

A proxy cannot wrap a call in pybreaker's `call`: it learns how an attempt went at
evidence, long before the reply ends, and a caller that leaves must count as
nothing. So the states' own hooks are used directly:

    permit = breaker.acquire()      # state.before_call, or BreakerOpen
    permit.succeed(seconds)         # state._handle_success
    permit.fail()                   # state._handle_error
    permit.release()                # neither: nobody's fault

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
"""
# ruff: noqa: SLF001, ARG002
# SLF001: the private names of pybreaker used here are held by tests/policy/test_foreign_names.py.
# ARG002: pybreaker's hooks are given more than our states need.

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pybreaker  # where redis is installed it is imported too: about 100 ms and 10 MB more

from sidecar.errors import CircuitOpen
from sidecar.policy.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidecar.settings import CircuitBreakerSettings

    Clock = Callable[[], float]
    Listener = Callable[["Breaker", str, str], None]

StateName = Literal["closed", "half_open", "open"]

_NAMES: dict[str, StateName] = {
    pybreaker.STATE_CLOSED: "closed",
    pybreaker.STATE_HALF_OPEN: "half_open",
    pybreaker.STATE_OPEN: "open",
}
_FAILURE = Exception("the attempt failed")
"""pybreaker wants an exception; what a failure is was decided before (`classify`), so one serves all."""


def _attempt() -> None:
    """What pybreaker's `before_call` is shown as the guarded function; it is never called."""


class BreakerOpen(pybreaker.CircuitBreakerError, CircuitOpen):
    """No permit. `retry_after` is None when nobody knows: the circuit was opened by hand."""


class Permit:
    """The right to make one attempt. The first of `succeed`, `fail` and `release` settles it."""

    __slots__ = ("_circuit", "_era", "_succeeded", "settled")

    def __init__(self, circuit: _Circuit, era: _State) -> None:
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
        if self._era is self._circuit._state:
            self._era._handle_success()
            if streamed and self._circuit.one_is_enough:
                self._circuit.close()

    def fail(self) -> None:
        if self.settled:
            return
        self.settled = True
        self._hear_failure()

    def release(self) -> None:
        """Nothing was learnt: no count moves, and a probe's place is free again."""
        self.settled = True

    def broke(self) -> None:
        """The stream was cut after its success was told: that success is followed by a failure, once."""
        if not self.settled:
            self.fail()
        elif self._succeeded:
            self._succeeded = False
            self._hear_failure()

    def _hear_failure(self) -> None:
        if self._era is self._circuit._state:
            self._era._handle_error(_FAILURE, reraise=False)


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
        self._circuit = _Circuit(name, settings, clock, self._tell)

    def acquire(self) -> Permit:
        """A permit for one attempt, to be settled by the caller; raises `BreakerOpen`."""
        circuit = self._circuit
        circuit._state.before_call(_attempt)
        era = circuit._state
        permit = Permit(circuit, era)
        if isinstance(era, _HalfOpen):
            era.admit(permit)
        return permit

    def would_admit(self) -> bool:
        """Would `acquire` give a permit now? Takes nothing and moves nothing."""
        return self.retry_after() == 0.0

    def retry_after(self) -> float:
        """Seconds until a permit may be had: 0.0 for now, infinity when nobody knows (opened by hand)."""
        return self._circuit._state.retry_after()

    @property
    def state(self) -> StateName:
        """An open circuit whose time is over reads `half_open`, also before someone asks for a permit."""
        name = _NAMES[self._circuit._state.name]
        return "half_open" if name == "open" and not self.retry_after() else name

    def force_open(self) -> None:
        """Refuse everything until `reset`."""
        self._circuit.forced = True
        if _NAMES[self._circuit._state.name] != "open":
            self._circuit.open()

    def reset(self) -> None:
        """Closed, with an empty window; what is in flight belongs to an earlier era."""
        self._circuit.close()

    def snapshot(self) -> dict[str, object]:
        """The numbers of `GET /circuit-breakers`.

        `failure_count` and `total_calls` are since the start, `recent_failures`
        those in the window. `opened_at` (RFC 3339) and `retry_after` (seconds) are
        there while the circuit is not closed, and the time is known.
        """
        circuit = self._circuit
        numbers: dict[str, object] = {
            "state": self.state,
            "failure_count": circuit.numbers.failures,
            "recent_failures": circuit.numbers.counter,
            "total_calls": circuit.numbers.calls,
        }
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


class _Numbers(pybreaker.CircuitMemoryStorage):
    """What pybreaker counts, over a sliding window instead of a row of failures."""

    def __init__(self, settings: CircuitBreakerSettings, clock: Clock) -> None:
        super().__init__(pybreaker.STATE_CLOSED)
        self._clock = clock
        self.window = Window(settings.window, settings.window_time)
        self.opened = -math.inf
        self.calls = 0
        self.failures = 0

    def increment_counter(self) -> None:
        self.calls += 1
        self.failures += 1
        self.window.record(self._clock(), failed=True)

    def count_success(self) -> None:
        self.calls += 1
        self.window.record(self._clock(), failed=False)

    def reset_counter(self) -> None:
        """Called at each success, which forgives nothing here: in a window, time does that."""

    @property
    def counter(self) -> int:
        return self.window.failures(self._clock())

    @property
    def opened_at(self) -> datetime | None:
        return super().opened_at

    @opened_at.setter
    def opened_at(self, when: datetime) -> None:
        """Where the injected clock gets in: the wall clock's `when` is kept for people only."""
        self._opened_at = when
        self.opened = self._clock()


class _Closed(pybreaker.CircuitClosedState):
    _breaker: _Circuit

    def retry_after(self) -> float:
        return 0.0

    def on_success(self) -> None:
        self._breaker.numbers.count_success()

    def on_failure(self, exc: BaseException) -> None:
        if self._breaker.too_many_failures():
            self._breaker.open()


class _Open(pybreaker.CircuitOpenState):
    _breaker: _Circuit

    def before_call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Half-open when the time is over, and ask the new state (pybreaker would *call* again)."""
        circuit = self._breaker
        if self.retry_after():
            raise circuit.refusal()
        circuit.half_open()
        circuit._state.before_call(func)

    def retry_after(self) -> float:
        circuit = self._breaker
        if circuit.forced:
            return math.inf
        return max(0.0, circuit.numbers.opened + circuit.reset_timeout - circuit.clock())


class _HalfOpen(pybreaker.CircuitHalfOpenState):
    _breaker: _Circuit

    def __init__(
        self, cb: _Circuit, prev_state: pybreaker.CircuitBreakerState | None = None, notify: bool = False
    ) -> None:
        self._probes: list[tuple[Permit, float]] = []
        super().__init__(cb, prev_state, notify)

    def before_call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if self.retry_after():
            raise self._breaker.refusal()

    def admit(self, probe: Permit) -> None:
        circuit = self._breaker
        self._probes.append((probe, circuit.clock() + circuit.settings.probe_timeout))

    def retry_after(self) -> float:
        """0.0 while a place is free, else the time until the oldest probe's place lapses."""
        circuit = self._breaker
        now = circuit.clock()
        self._probes = [(permit, lapses) for permit, lapses in self._probes if lapses > now and not permit.settled]
        if len(self._probes) < circuit.settings.probes:
            return 0.0
        return self._probes[0][1] - now

    def on_success(self) -> None:
        self._breaker.numbers.count_success()
        super().on_success()

    def on_failure(self, exc: BaseException) -> Any:
        circuit = self._breaker
        circuit.reset_timeout = min(2 * circuit.reset_timeout, circuit.settings.recovery_timeout)
        circuit.open()


_State = _Closed | _Open | _HalfOpen


class _Moves(pybreaker.CircuitBreakerListener):
    """Notes a transition. It is told when it is complete: inside `state_change` the circuit still
    shows its old state, and an exception there would abort the transition.
    """

    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        if old_state is not None and old_state.name != new_state.name:
            self.noted.append((_NAMES[old_state.name], _NAMES[new_state.name]))


class _Circuit(pybreaker.CircuitBreaker):
    """pybreaker's machine with our three states. Never used by `call`."""

    _state: _State

    def __init__(
        self, name: str, settings: CircuitBreakerSettings, clock: Clock, tell: Callable[[str, str], None]
    ) -> None:
        # Before super(), which already makes the first state.
        self.settings = settings
        self.clock = clock
        self.slow_call = settings.slow_call or math.inf
        self.numbers = _Numbers(settings, clock)
        self.forced = False
        self._tell = tell
        self._moves = _Moves()
        super().__init__(
            fail_max=settings.failure_threshold,
            success_threshold=settings.success_threshold,
            exclude=[],
            listeners=[self._moves],
            state_storage=self.numbers,
            name=name,
            throw_new_error_on_trip=False,
        )
        self._forget_probes()

    def _create_new_state(
        self, new_state: str, prev_state: pybreaker.CircuitBreakerState | None = None, notify: bool = False
    ) -> _State:
        """The only place where pybreaker makes states: the seam that all this hangs on."""
        return _STATES[new_state](self, prev_state, notify)

    def open(self) -> bool:
        opened = super().open()
        self._tell_moves()
        return opened

    def half_open(self) -> None:
        super().half_open()
        self._tell_moves()

    def close(self) -> None:
        self.forced = False
        self.numbers.window.clear()
        self._forget_probes()
        super().close()
        self._tell_moves()

    @property
    def one_is_enough(self) -> bool:
        """Half-open still, and nobody set how many probes must succeed."""
        return isinstance(self._state, _HalfOpen) and "success_threshold" not in self.settings.model_fields_set

    def too_many_failures(self) -> bool:
        now, window = self.clock(), self.numbers.window
        failures = window.failures(now)
        # A quotient, not a product: 3 of 30 is exactly 0.1, while 0.1 * 30 is a little more than 3.
        return failures >= self.fail_max and failures / window.total(now) >= self.settings.failure_rate

    def refusal(self) -> BreakerOpen:
        wait = self._state.retry_after()
        return BreakerOpen(f"Circuit breaker '{self.name}' is OPEN", retry_after=None if math.isinf(wait) else wait)

    def _forget_probes(self) -> None:
        """Back to the first time open."""
        self.reset_timeout = min(self.settings.recovery_first, self.settings.recovery_timeout)

    def _tell_moves(self) -> None:
        noted, self._moves.noted = self._moves.noted, []
        for old, new in noted:
            self._tell(old, new)


_STATES: dict[str, type[_State]] = {
    pybreaker.STATE_CLOSED: _Closed,
    pybreaker.STATE_OPEN: _Open,
    pybreaker.STATE_HALF_OPEN: _HalfOpen,
}
