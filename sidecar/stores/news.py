"""What is told to other sidecars of our breakers, and what is made of what they tell (`[redis] share_breakers`).

Told is what calls of our own have shown: that enough of them failed, or that a probe
succeeded. What came by hearsay or by hand is not passed on, or one opening would wander
from sidecar to sidecar for ever. What is heard opens nothing (`Breaker.suspect`, `hurry`).

This knows no Redis: `stores/news_wire.py` carries it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sidecar.stores.news_message import Message, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidecar.policy.breaker import Breaker, Listener
    from sidecar.stores.news_message import To

TOLD_MOST = 50
"""Messages a second; those beyond it are dropped. A breaker tells two in the time it is open, 5 s at least."""
HEARD_MOST = 500
"""Messages a second that are read: some 10 ms of CPU time."""
BACKLOG = 64
STALE = 2.0
"""Seconds after which a message that waits is not sent any more: by then the others know by themselves."""

_MOVES: dict[tuple[str, str], To] = {("closed", "open"): "open", ("half_open", "closed"): "closed"}
"""A probe that failed (half-open to open) tells nobody anything new."""


class Guard(NamedTuple):
    """A breaker, and whom it guards (`digest_of`)."""

    breaker: Breaker
    upstream: str


class Observer(Protocol):
    """What hears of it."""

    def news(self, kind: str) -> None:
        """One more message: `sent`, `heard`, `dropped` or `malformed`."""

    def news_changed(self, service: str, told: str, sender: str) -> None:
        """Of a breaker of ours the next failure is enough now (`open`), or the next probe due (`closed`)."""


class BreakerNews:
    """The news of one sidecar, `sender`; `clock` in seconds."""

    def __init__(self, sender: str, clock: Callable[[], float], observer: Observer) -> None:
        self._sender = sender
        self._clock = clock
        self._observer = observer
        self._guards: Mapping[str, Guard] = {}
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._woken = asyncio.Event()
        self._told = _Rate(TOLD_MOST)
        self._heard = _Rate(HEARD_MOST)

    def follow(self, guards: Mapping[str, Guard]) -> None:
        """These are the breakers from now on, by name: this listens to them, and no longer to those before."""
        for guard in self._guards.values():
            guard.breaker.listeners = self._others(guard.breaker)
        for guard in guards.values():
            guard.breaker.listeners = (*self._others(guard.breaker), self.moved)
        self._guards = guards

    def _others(self, breaker: Breaker) -> tuple[Listener, ...]:
        return tuple(each for each in breaker.listeners if each != self.moved)

    def moved(self, breaker: Breaker, old: str, new: str) -> None:
        """A listener of `Breaker`: what others should know waits to be sent. Returns at once."""
        to, guard = _MOVES.get((old, new)), self._guards.get(breaker.name)
        if to is None or breaker.cause != "calls" or guard is None or guard.breaker is not breaker:
            return
        now = self._clock()
        if len(self._waiting) >= BACKLOG or not self._told.admits(now):
            self._observer.news("dropped")
            return
        self._waiting.append((now, Message(self._sender, breaker.name, guard.upstream, to).encoded()))
        self._woken.set()

    async def next(self) -> bytes:
        """The next message to be sent, now or when there is one."""
        while True:
            while self._waiting:
                since, message = self._waiting.popleft()
                if self._clock() - since < STALE:
                    return message
                self._observer.news("dropped")
            self._woken.clear()
            await self._woken.wait()

    def sent(self, *, arrived: bool) -> None:
        """What became of the last message."""
        self._observer.news("sent" if arrived else "dropped")

    def hear(self, data: object) -> bool:
        """Something came over the channel. False: too much does, nothing was looked at, and nobody should listen for
        the rest of the second.
        """
        if not self._heard.admits(self._clock()):
            self._observer.news("dropped")
            return False
        message = read(data)
        if message is None:
            self._observer.news("malformed")
        elif message.sender != self._sender:
            self._take(message)
        return True

    def _take(self, message: Message) -> None:
        guard = self._guards.get(message.breaker)
        if guard is None or guard.upstream != message.upstream:
            return
        self._observer.news("heard")
        breaker = guard.breaker
        if breaker.suspect() if message.to == "open" else breaker.hurry():
            self._observer.news_changed(message.breaker, message.to, message.sender)


class _Rate:
    """At most so many in each second."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun = 0.0
        self._count = 0

    def admits(self, now: float) -> bool:
        if now - self._begun >= 1.0:
            self._begun, self._count = now, 0
        self._count += 1
        return self._count <= self._most
