"""Redis as a place where limits are counted: what is asked waits here a moment, and somebody knows whether it is there.

One task takes all that waits and sends it as one: a decision costs a round trip, and a thousand at once are no thousand
connections. One that gets no answer within `PATIENCE` is answered by None, and whoever asked knows what to do then.
After a failure everybody is told None at once, for `FIRST_REST` seconds and then for longer, until the task has had a
decision of its own taken. That is made by the same script, so a Redis that is full, or that only reads, is not believed
to be back; and it is made when nobody has asked for a while, since health must tell.

A store that is closed still answers the calls that knew it: it connects for them, and leaves again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from redis.exceptions import AskError, MovedError, ResponseError, TryAgainError

from sidecar.policy.limiter import Window
from sidecar.stores.redis_client import AWAY, why
from sidecar.stores.redis_line import Patience
from sidecar.stores.redis_nodes import Nodes
from sidecar.stores.redis_script import decision, given, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.settings import RedisSettings
    from sidecar.stores.redis_line import Given
    from sidecar.stores.redis_nodes import Answer

log = logging.getLogger("sidecar")

PATIENCE = 0.1
"""Seconds until a decision is made without Redis."""
OWN = 0.05
"""Seconds that Redis has for an answer at least, however long those who ask have waited for others' answers."""
TOGETHER = 1024
"""Decisions that are sent as one: 300 kB, 15 ms of this process, 30 ms of Redis."""
FIRST_REST, LONGEST_REST = 1.0, 5.0
"""Seconds until it is tried again, doubling."""
PROBE_PATIENCE = 2.0
"""Seconds for the store's own decision, for which nobody waits."""
QUIET = 5.0
"""Seconds without a decision until it makes one of its own."""
ODD = 60.0
"""Seconds for which it is told of a key that cannot be counted."""
MOST = 8192
"""Decisions and corrections that wait: 120 ms of this process. More are not asked for."""

_WRONG_TYPE = "WRONGTYPE"
"""What it says of a key that is no hash: somebody else's."""
_MOVING = (MovedError, AskError, TryAgainError)
"""What a cluster says of keys that are on their way from one node to another."""
_PROBE_KEY = b"sidecar:{probe}"
_PROBE = decision(_PROBE_KEY, given([Window(1000, 1.0, 1000)]), 1.0, 0.0)


class Watch(Protocol):
    """What hears of a store."""

    def shared(self, seconds: float) -> None:
        """A decision was made there, and took so long."""

    def alone(self) -> None:
        """One was made here."""

    def rejected(self) -> None:
        """One was not made, and the call refused."""

    def moved(self, trouble: str) -> None:
        """It is in trouble from now on, and this is done about it; or in none (empty)."""


class Asked:
    """One decision or correction that waits. `answered` is None where nobody has counted."""

    __slots__ = ("answered", "era", "given", "key", "since", "windows")

    def __init__(
        self, key: bytes, given: Given, windows: int, answered: asyncio.Future[list[float] | None], since: float
    ) -> None:
        self.key = key
        self.given = given
        self.windows = windows
        self.answered = answered
        self.since = since
        self.era: object = None
        """Of the connection by which it was answered."""

    def answer(self, numbers: list[float] | None, era: object = None) -> None:
        if not self.answered.done():  # a caller may have left
            self.era = era
            self.answered.set_result(numbers)


class RedisStore:
    """One Redis, for all limits of a configuration."""

    def __init__(self, settings: RedisSettings, watch: Watch, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.watch = watch
        self.trouble = ""
        """Why nobody counts there now; empty while it does."""
        self._clock = clock
        self._nodes = Nodes(settings, clock)
        self._waiting: list[Asked] = []
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._rest = FIRST_REST
        self._due = clock()
        """When it is to be tried if nobody asks."""
        self._odd = ("", 0.0)
        self._spent = 0.0
        """Seconds that Redis has taken, with all of its answers: by this clock those who ask grow older."""

    def begin(self) -> None:
        """See whether it is there, whoever asks."""
        self._run()

    def ask(self, key: bytes, given: Given, windows: int) -> Asked | None:
        """Have the script run where this key is; None when it is known already that it will not be."""
        if self.trouble or len(self._waiting) >= MOST:
            return None
        asked = self._asked(key, given, windows)
        self._waiting.append(asked)
        self._came.set()
        self._run()
        return asked

    def _asked(self, key: bytes, given: Given, windows: int) -> Asked:
        return Asked(key, given, windows, asyncio.get_running_loop().create_future(), self._spent)

    @property
    def back_in(self) -> float:
        """Seconds until it may count again."""
        return max(self._due - self._clock(), OWN)

    @property
    def state(self) -> str:
        """For health: `ok`, or what is wrong and what is done about it."""
        done = "counting locally" if self.settings.on_failure == "local" else "refusing"
        if self.trouble:
            return f"{self.trouble}; {done}"
        odd, until = self._odd
        return f"{odd}; {done}" if self._clock() < until else "ok"

    async def aclose(self) -> None:
        """What waits is answered first. Whoever asks later is, too."""
        self._closed = True
        self._came.set()
        if self._task is not None:
            if self.trouble:  # nobody waits for what it tries
                self._task.cancel()
            await asyncio.wait((self._task,))

    def _run(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name="redis limits")

    async def _serve(self) -> None:
        try:
            while not self._closed or self._waiting:
                if self._waiting:
                    await self._send(self._batch(), PATIENCE)
                    continue
                await self._pause(self._due - self._clock())
                if not self._closed and not self._waiting:
                    probe = self._asked(_PROBE_KEY, lambda _: _PROBE, 1)
                    await self._send([probe], PROBE_PATIENCE if self.trouble else PATIENCE)
        finally:
            await self._nodes.aclose()
            self._task = None
        if self._waiting:  # somebody has asked while it was closed
            self._run()

    async def _pause(self, seconds: float) -> None:
        """At most so long: until somebody asks, or it is closed."""
        self._came.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._came.wait()
        except TimeoutError:
            return

    def _batch(self) -> list[Asked]:
        """The first that wait, without callers that have left and those that have waited too long already."""
        first, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
        for asked in first:
            if self._spent - asked.since >= PATIENCE:
                asked.answer(None)
        return [asked for asked in first if not asked.answered.done()]

    async def _send(self, batch: list[Asked], patience: float) -> None:
        if not batch:
            return
        left = Patience(max(patience - (self._spent - batch[0].since), OWN))
        trouble = ""
        try:
            answers = await self._nodes.ask(batch, left)
        except TimeoutError:
            trouble = f"unreachable: no answer within {patience * 1000:.0f} ms"
        except AWAY as error:
            trouble = f"unreachable: {why(error)}"
        except Exception as error:  # a bug of ours or of the client's: no call may wait for it
            log.exception("the rate limits' store failed")
            trouble = f"unreachable: {error!r}"
        else:
            for asked, answer in zip(batch, answers, strict=True):
                trouble = self._hear(asked, answer) or trouble
        self._spent += left.spent
        if trouble:
            await self._lost(trouble, batch)
        else:
            self._found()

    def _hear(self, asked: Asked, answer: Answer) -> str:
        """Answer one; why Redis itself is in trouble, empty when it is not."""
        said = answer.said
        if isinstance(said, Exception):
            asked.answer(None)
            told = f"{'refuses' if isinstance(said, ResponseError) else 'unreachable'}: {why(said)}"
            if isinstance(said, ResponseError) and not isinstance(said, _MOVING) and _WRONG_TYPE not in told:
                return told
            self._odd = told, self._clock() + ODD  # of one key, or of one of a cluster's nodes: the others go on
            return ""
        try:
            asked.answer(read(said, asked.windows), answer.era)
        except (TypeError, ValueError):
            asked.answer(None)
            return "unreachable: it answers as no Redis does"
        return ""

    async def _lost(self, trouble: str, batch: list[Asked]) -> None:
        self._rest = min(2 * self._rest, LONGEST_REST) if self.trouble else FIRST_REST
        self._due = self._clock() + self._rest
        news, self.trouble = not self.trouble, trouble
        waiting, self._waiting = self._waiting, []
        for asked in (*batch, *waiting):
            asked.answer(None)
        if news:
            self.watch.moved(self.state)
        await self._nodes.aclose()

    def _found(self) -> None:
        self._due = self._clock() + QUIET
        if self.trouble:
            self.trouble = ""
            self.watch.moved("")
