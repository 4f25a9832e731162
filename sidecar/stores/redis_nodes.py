"""The server that a decision goes to: the one that `[redis]` names, or in a cluster the one that has its key.

A cluster tells by itself who that is when another node is asked (`MOVED`), and the answer is kept: no list of nodes is
fetched, and one that is no cluster costs nothing. A node that is away takes its keys with it, not the others; after
`REST` it is tried again, and who has its keys by then is asked of the first one anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from redis.crc import key_slot
from redis.exceptions import MovedError

from sidecar.stores.redis_client import AWAY
from sidecar.stores.redis_line import LOOK, Line, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidecar.settings import RedisSettings
    from sidecar.stores.redis_line import Given

REST = 1.0
"""Seconds until a cluster's node that was away is tried again."""

Address = tuple[str, int]


class Keyed(Protocol):
    """What is asked of the server that has a key."""

    @property
    def key(self) -> bytes: ...

    @property
    def given(self) -> Given: ...


class Answer(NamedTuple):
    """What was said: a list, an error of Redis', or why a cluster's node could not be asked."""

    said: Any
    era: object
    """Of the connection by which it came."""


class Nodes:
    """One server, or as many as a cluster has named."""

    def __init__(self, settings: RedisSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._first = Line(settings)
        self._others: dict[Address, Line] = {}
        self._slots: dict[int, Address] = {}
        self._away: dict[Address, tuple[float, BaseException]] = {}
        """Nodes that are left alone until a moment, and why."""

    async def ask(self, asked: Sequence[Keyed], patience: Patience) -> list[Answer]:
        """An answer for each. Raises what is `AWAY` where the first server has none, and keeps no connection to it."""
        if not self._slots:
            said = await self._first.ask([one.given for one in asked], patience)
            answers = [Answer(each, self._first.era) for each in said]
        else:
            answers = await self._each(asked, patience)
        moved = [i for i, answer in enumerate(answers) if isinstance(answer.said, MovedError)]
        if moved:
            for i in moved:
                self._learn(answers[i].said)
            again = await self._each([asked[i] for i in moved], patience)
            for i, answer in zip(moved, again, strict=True):
                answers[i] = answer
        return answers

    def _learn(self, moved: MovedError) -> None:
        address = self._slots[moved.slot_id] = (moved.host or self._first.host, moved.port)
        if address not in self._others:
            self._others[address] = Line(self._settings, address)

    async def _each(self, asked: Sequence[Keyed], patience: Patience) -> list[Answer]:
        """Of all nodes at the same time."""
        groups: dict[Address | None, list[int]] = {}
        for i, one in enumerate(asked):
            groups.setdefault(self._slots.get(key_slot(one.key)), []).append(i)
        times = [Patience(max(patience.left, LOOK)) for _ in groups]
        told = await asyncio.gather(
            *(
                self._of(address, [asked[i].given for i in places], time)
                for (address, places), time in zip(groups.items(), times, strict=True)
            ),
            return_exceptions=True,  # what is asked of the others goes on until it is answered
        )
        patience.spent += max(time.spent for time in times)
        answers: dict[int, Answer] = {}
        for places, of_one in zip(groups.values(), told, strict=True):
            if isinstance(of_one, BaseException):
                raise of_one
            answers |= zip(places, of_one, strict=True)
        return [answers[i] for i in range(len(asked))]

    async def _of(self, address: Address | None, given: Sequence[Given], patience: Patience) -> list[Answer]:
        if address is None:
            said = await self._first.ask(given, patience)
            return [Answer(each, self._first.era) for each in said]
        until, error = self._away.get(address, (0.0, None))
        line = self._others[address]
        if error is None or self._clock() >= until:
            try:
                return [Answer(each, line.era) for each in await line.ask(given, patience)]
            except AWAY as why:
                error = why
                self._away[address] = self._clock() + REST, why
                self._slots = {slot: at for slot, at in self._slots.items() if at != address}
        return [Answer(error, None)] * len(given)

    async def aclose(self) -> None:
        for line in (self._first, *self._others.values()):
            await line.aclose()
