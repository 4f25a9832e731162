"""An event loop on virtual time: waiting costs nothing and is exact.

The loop's selector never waits. When nothing is ready it moves the clock to the
next timer, so `asyncio.sleep`, `asyncio.timeout`, `call_at` and aiolimiter all
run on virtual time with nothing patched: an hour of sleeps takes milliseconds,
and a test can assert `loop.time()` to the last digit.

Rules: no real sockets and no threads on this loop, since time would jump while
they work. A test that waits for something that can never come does not hang: it
fails with `StuckError`.

In tests: `@pytest.mark.virtual_time` on an async test (see `conftest.py`), or
`run(main())` where a plain function needs a loop of its own (hypothesis).
"""

from __future__ import annotations

import asyncio
import math
import selectors
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

START = 1000.0
"""Not zero, so that code which takes 0 for "never" shows itself."""


class StuckError(Exception):
    """Every task waits, and no timer is set: on a real loop this would hang."""


class JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timer, makes it now."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise StuckError
        if timeout > 0:
            # At least one step of a float: far from zero `now + timeout` may be `now`, and the loop would spin.
            self.now = max(self.now + timeout, math.nextafter(self.now, math.inf))
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at `START` and moves only when every task waits."""

    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def advance(self, seconds: float) -> None:
        """Let time pass while the running task works; timers that became due run at its next await."""
        self._jumping.now += seconds


def run(main: Coroutine[object, object, T]) -> T:
    """Run `main` on a fresh virtual loop."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
