"""pybreaker's machine with our three states: what a breaker counts, and how it moves.

`policy/breaker.py` is its face. The names of pybreaker's that begin with `_` are used here alone.
"""
# ruff: noqa: SLF001, ARG002
# SLF001: the private names of pybreaker used here are held by tests/policy/test_foreign_names.py.
# ARG002: pybreaker's hooks are given more than our states need.

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sidecar.errors import CircuitOpen
from sidecar.policy.breaker_library import pybreaker
from sidecar.policy.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sidecar.settings import CircuitBreakerSettings

    Clock = Callable[[], float]

StateName = Literal["closed", "half_open", "open"]
Cause = Literal["calls", "news", "hand"]

NAMES: dict[str, StateName] = {
    pybreaker.STATE_CLOSED: "closed",
    pybreaker.STATE_HALF_OPEN: "half_open",
    pybreaker.STATE_OPEN: "open",
}
_FAILURE = Exception("the attempt failed")
"""pybreaker wants an exception; what a failure is was decided before (`classify`), so one serves all."""


def _attempt() -> None:
    """What pybreaker's `before_call` is shown as the guarded function; it is never called."""


class Probe(Protocol):
    """A permit, as far as a half-open circuit knows it."""

    settled: bool


class BreakerOpen(pybreaker.CircuitBreakerError, CircuitOpen):
    """No permit. `retry_after` is None when nobody knows: the circuit was opened by hand."""


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
    _breaker: Circuit
    suspected_until = -math.inf

    def retry_after(self) -> float:
        return 0.0

    @property
    def suspected(self) -> bool:
        return self._breaker.clock() < self.suspected_until

    def on_success(self) -> None:
        self._breaker.numbers.count_success()
        self.suspected_until = -math.inf

    def on_failure(self, exc: BaseException) -> None:
        if self._breaker.too_many_failures():
            self._breaker.open()
        elif self.suspected:
            self._breaker.move("open", "news")


class _Open(pybreaker.CircuitOpenState):
    _breaker: Circuit

    def __init__(
        self, cb: Circuit, prev_state: pybreaker.CircuitBreakerState | None = None, notify: bool = False
    ) -> None:
        self.hurried = False
        self.may_hurry = not (isinstance(prev_state, HalfOpen) and prev_state.hurried)
        super().__init__(cb, prev_state, notify)

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
        if self.hurried:
            return 0.0
        return max(0.0, circuit.numbers.opened + circuit.reset_timeout - circuit.clock())


class HalfOpen(pybreaker.CircuitHalfOpenState):
    _breaker: Circuit

    def __init__(
        self, cb: Circuit, prev_state: pybreaker.CircuitBreakerState | None = None, notify: bool = False
    ) -> None:
        self.hurried = isinstance(prev_state, _Open) and prev_state.hurried
        self._probes: list[tuple[Probe, float]] = []
        super().__init__(cb, prev_state, notify)

    def before_call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if self.retry_after():
            raise self._breaker.refusal()

    def admit(self, probe: Probe) -> None:
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
        if not self.hurried:
            circuit.reset_timeout = min(2 * circuit.reset_timeout, circuit.settings.recovery_timeout)
        circuit.open()


State = _Closed | _Open | HalfOpen


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
            self.noted.append((NAMES[old_state.name], NAMES[new_state.name]))


class Circuit(pybreaker.CircuitBreaker):
    """pybreaker's machine with our three states. Never used by `call`."""

    _state: State

    def __init__(
        self, name: str, settings: CircuitBreakerSettings, clock: Clock, tell: Callable[[str, str], None]
    ) -> None:
        # Before super(), which already makes the first state.
        self.settings = settings
        self.clock = clock
        self.slow_call = settings.slow_call or math.inf
        self.numbers = _Numbers(settings, clock)
        self.forced = False
        self.cause: Cause = "calls"
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
    ) -> State:
        """The only place where pybreaker makes states: the seam that all this hangs on."""
        return _STATES[new_state](self, prev_state, notify)

    @property
    def era(self) -> State:
        return self._state

    def admit(self) -> State:
        """The era of one more attempt. Raises `BreakerOpen`."""
        self._state.before_call(_attempt)
        return self._state

    def hear_success(self, era: State, *, enough: bool) -> None:
        """Of a permit of that era. `enough`: it closes a half-open circuit, unless somebody set how many must."""
        if era is self._state:
            era._handle_success()
            if enough and isinstance(self._state, HalfOpen) and self._one_may_be_enough:
                self.close()

    def hear_failure(self, era: State) -> None:
        if era is self._state:
            era._handle_error(_FAILURE, reraise=False)

    @property
    def suspected(self) -> bool:
        return isinstance(self._state, _Closed) and self._state.suspected

    def suspect(self) -> bool:
        if not isinstance(self._state, _Closed):
            return False
        known = self._state.suspected
        self._state.suspected_until = self.clock() + self.settings.window_time
        return not known

    def hurry(self) -> bool:
        state = self._state
        if not isinstance(state, _Open) or not state.may_hurry or not 0 < state.retry_after() < math.inf:
            return False
        state.hurried = True
        return True

    def move(self, to: Literal["closed", "open"], cause: Cause) -> None:
        """A move by something else than calls of our own, which listeners can ask for meanwhile."""
        self.cause = cause
        try:
            if to == "open":
                self.open()
            else:
                self.close()
        finally:
            self.cause = "calls"

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
    def _one_may_be_enough(self) -> bool:
        """Nobody set how many probes must succeed."""
        return "success_threshold" not in self.settings.model_fields_set

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


_STATES: dict[str, type[State]] = {
    pybreaker.STATE_CLOSED: _Closed,
    pybreaker.STATE_OPEN: _Open,
    pybreaker.STATE_HALF_OPEN: HalfOpen,
}
