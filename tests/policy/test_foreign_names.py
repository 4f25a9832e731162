"""The private names of pybreaker and aiolimiter that our classes stand on.

They are no promise of those libraries. If one of these tests fails after an
upgrade, read the new source before touching the pin.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import pybreaker
import pytest
from aiolimiter import AsyncLimiter

if TYPE_CHECKING:
    from tests.kit.virtual_loop import VirtualTimeLoop

FAILURE = Exception("it failed")


class Watched(pybreaker.CircuitMemoryStorage):
    def __init__(self) -> None:
        super().__init__(pybreaker.STATE_CLOSED)
        self.heard: list[str] = []

    def increment_counter(self) -> None:
        self.heard.append("increment")
        super().increment_counter()

    def reset_counter(self) -> None:
        self.heard.append("reset")
        super().reset_counter()


def breaker(storage: Watched | None = None) -> pybreaker.CircuitBreaker:
    return pybreaker.CircuitBreaker(
        fail_max=1, exclude=[], state_storage=storage or Watched(), throw_new_error_on_trip=False
    )


def test_every_state_is_made_by_create_new_state() -> None:
    made: list[str] = []

    class Circuit(pybreaker.CircuitBreaker):
        def _create_new_state(
            self, new_state: str, prev_state: pybreaker.CircuitBreakerState | None = None, notify: bool = False
        ) -> pybreaker.CircuitClosedState | pybreaker.CircuitHalfOpenState | pybreaker.CircuitOpenState:
            made.append(new_state)
            return super()._create_new_state(new_state, prev_state, notify)

    circuit = Circuit()
    circuit.open()
    circuit.half_open()
    circuit.close()
    assert made == ["closed", "open", "half-open", "closed"]


def test_state_is_kept_in_one_attribute_and_new_with_each_transition() -> None:
    circuit = breaker()
    closed = circuit._state
    circuit.open()
    opened = circuit._state
    circuit.open()
    assert closed is not opened
    assert circuit._state is not opened


def test_handle_success_resets_then_asks_the_state() -> None:
    storage = Watched()
    breaker(storage)._state._handle_success()
    assert storage.heard == ["reset"]


def test_handle_error_counts_then_asks_the_state() -> None:
    storage = Watched()
    circuit = pybreaker.CircuitBreaker(fail_max=2, exclude=[], state_storage=storage)
    circuit._state._handle_error(FAILURE, reraise=False)
    assert storage.heard == ["increment"]
    assert circuit.current_state == "closed"


def test_open_goes_through_the_storage() -> None:
    storage = Watched()
    circuit = breaker(storage)
    assert circuit.open() is False, "throw_new_error_on_trip"
    assert storage.opened_at is not None
    assert storage.state == "open"


def test_half_open_closes_itself_after_success_threshold() -> None:
    circuit = pybreaker.CircuitBreaker(success_threshold=2)
    circuit.half_open()
    circuit._state._handle_success()
    assert circuit.current_state == "half-open"
    circuit._state._handle_success()
    assert circuit.current_state == "closed"


def test_before_call_is_a_hook_of_every_state() -> None:
    for state in (pybreaker.CircuitClosedState, pybreaker.CircuitHalfOpenState, pybreaker.CircuitOpenState):
        assert list(inspect.signature(state.before_call).parameters) == ["self", "func", "args", "kwargs"]


@pytest.mark.virtual_time
async def test_leak_lowers_the_level_by_the_rate(virtual_loop: VirtualTimeLoop) -> None:
    limiter = AsyncLimiter(4, 2)
    assert limiter._rate_per_sec == 2.0
    assert limiter._level == 0.0
    await limiter.acquire(3)
    assert limiter._level == 3.0
    virtual_loop.advance(1)
    assert limiter._level == 3.0, "only a look at it lets it leak"
    limiter._leak()
    assert limiter._level == 1.0
    virtual_loop.advance(60)
    limiter._leak()
    assert limiter._level == 0.0


def test_a_limiter_can_be_made_before_a_loop_runs() -> None:
    limiter = AsyncLimiter(1, 1)

    async def take() -> None:
        await limiter.acquire()

    asyncio.run(take())
    assert limiter._level == 1.0
