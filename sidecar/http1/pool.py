"""The connections to one origin: idle ones for reuse, and never more than allowed.

Idle connections are a stack: the one used last is the least likely to have been
closed by the other side, and those at the bottom grow old and are reaped by one
timer for the whole pool. A slot is held from before the connect until `release`;
who finds no slot free waits in line.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.http1.failures import PoolFull

if TYPE_CHECKING:
    from sidecar.http1.client import ClientConnection
    from sidecar.http1.connect import Connector


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """`max` connections at once (0: any number), of which `idle` may wait for reuse, `idle_timeout` seconds each."""

    max: int = 100
    idle: int = 100
    idle_timeout: float = 90.0


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Connections by what they do now, and who waits for one."""

    idle: int
    active: int
    connecting: int
    waiting: int


class Pool:
    """Gives connections to one origin, one exchange at a time each.

    What `acquire` or `try_acquire` gave must go to `release` exactly once in the end
    (more often does nothing), whatever became of the exchange.
    """

    def __init__(self, connector: Connector, limits: PoolLimits) -> None:
        self._connector = connector
        self._name = connector.name
        self._name.on_vanished = self._drop_vanished
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._idle: deque[ClientConnection] = deque()
        self._waiting: deque[asyncio.Future[ClientConnection | None]] = deque()
        self._active = 0
        self._connecting = 0
        self._reaper: asyncio.TimerHandle | None = None
        self._closed = False

    def try_acquire(self) -> ClientConnection | None:
        """An idle connection, at once; None when there is none, or others wait before."""
        if self._loop.time() >= self._name.until:
            self._name.refresh()
        while self._idle:
            connection = self._idle.pop()
            connection.on_lost = None
            if connection.is_dead():
                connection.close()
                continue
            connection.leased = True
            connection.reused = True
            self._active += 1
            return connection
        return None

    async def acquire(self, seconds: float, *, fresh: bool = False) -> ClientConnection:
        """An idle connection or a new one (`fresh`: only a new one).

        Waits at most `seconds` for a place in the pool, then raises `PoolFull`; a new
        connection may take `seconds` again, then it is `ConnectFailed`; 0 is any time. A
        cancelled wait leaves nothing behind.
        """
        if not fresh and (connection := self.try_acquire()) is not None:
            return connection
        if self._limits.max and self._active + self._connecting + len(self._idle) >= self._limits.max:
            if self._idle:
                self._discard(self._idle.popleft())  # a fresh one is asked for: the oldest gives its place
                self._connecting += 1
            else:
                given = await self._wait(seconds)
                if given is not None:
                    if not fresh and not given.is_dead():
                        return given
                    # Its place is ours all the same.
                    given.leased = False
                    given.close()
                    self._active -= 1
                    self._connecting += 1
        else:
            self._connecting += 1
        return await self._connect(seconds)

    def release(self, connection: ClientConnection) -> None:
        """Take it back: kept for reuse if its exchange ended cleanly on both sides, else closed."""
        if not connection.leased:
            return
        connection.leased = False
        self._active -= 1
        limits = self._limits
        if (
            not connection.reusable
            or self._closed
            or not limits.idle
            or not self._connector.still_valid(connection.peer)
        ):
            connection.close()
            self._pass_on_place()
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._active += 1
                connection.leased = True
                connection.reused = True
                waiter.set_result(connection)
                return
        connection.idle_since = self._loop.time()
        connection.on_lost = self._lost
        self._idle.append(connection)
        if len(self._idle) > limits.idle:
            self._discard(self._idle.popleft())
        if self._reaper is None and limits.idle_timeout:
            self._reaper = self._loop.call_later(limits.idle_timeout, self._reap)

    def stats(self) -> PoolStats:
        """How many now."""
        return PoolStats(len(self._idle), self._active, self._connecting, len(self._waiting))

    async def aclose(self) -> None:
        """Close the idle connections now, the busy ones when they are released. Who comes later gets one of its own."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        while self._idle:
            self._discard(self._idle.popleft())
        await self._connector.aclose()

    async def _wait(self, seconds: float) -> ClientConnection | None:
        """A connection in use by us now, or None: a place to connect (counted as connecting)."""
        waiter: asyncio.Future[ClientConnection | None] = self._loop.create_future()
        self._waiting.append(waiter)
        timer = self._loop.call_later(seconds, self._give_up, waiter) if seconds else None
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # Given and cancelled in the same turn of the loop: pass it on.
                given = waiter.result()
                if given is None:
                    self._connecting -= 1
                    self._pass_on_place()
                else:
                    self.release(given)
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _give_up(self, waiter: asyncio.Future[ClientConnection | None]) -> None:
        if not waiter.done():
            waiter.set_exception(PoolFull(f"all {self._limits.max} connections are in use"))

    async def _connect(self, seconds: float) -> ClientConnection:
        """Connect on a place that is already counted."""
        try:
            connection = await self._connector.connect(seconds)
        except BaseException:
            self._connecting -= 1
            self._pass_on_place()
            raise
        self._connecting -= 1
        self._active += 1
        connection.leased = True
        return connection

    def _pass_on_place(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._connecting += 1
                waiter.set_result(None)
                return

    def _lost(self, connection: ClientConnection) -> None:
        """An idle connection ended by itself."""
        connection.on_lost = None
        self._idle.remove(connection)

    def _discard(self, connection: ClientConnection) -> None:
        connection.on_lost = None
        connection.close()

    def _reap(self) -> None:
        """Close what has been idle for too long; come again when the next one will have been."""
        self._reaper = None
        oldest = self._loop.time() - self._limits.idle_timeout
        while self._idle and self._idle[0].idle_since <= oldest:
            self._discard(self._idle.popleft())
        if self._idle:
            self._reaper = self._loop.call_at(self._idle[0].idle_since + self._limits.idle_timeout, self._reap)

    def _drop_vanished(self) -> None:
        """The name has been resolved again: what is connected to addresses it no longer has is not reused."""
        for connection in [idle for idle in self._idle if not self._connector.still_valid(idle.peer)]:
            self._idle.remove(connection)
            self._discard(connection)
