"""The one connection by which all decisions of a process go to Redis, those of one moment together.

Measured on loopback beside redis-py's own ways, with a script of this size (one core, uvloop; microseconds):

    each decision by itself            p50 141, 104 of CPU      100 at once: p50 6,000, 75 of CPU each
    redis-py's pipeline                p50 183, 137 of CPU      100 at once: p50 3,400, 26 of CPU each
    its connection, packed and read    p50 118,  63 of CPU      100 at once: p50 2,100, 15 of CPU each

The last one is this file: the parser and the connection are redis-py's, and it takes hiredis where that is installed
(p50 104, 55 of CPU; 10 each for 100 at once), which is too little to ask everybody for another package.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError

from sidecar.stores.redis_client import AWAY, connect, connection
from sidecar.stores.redis_script import SCRIPT, SHA

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sidecar.settings import RedisSettings

    Given = Callable[[object], tuple[bytes, ...]]
    """What the script is given, told by which connection it goes."""

LOOK = 0.01
"""Seconds from look to look whether an answer's time is up. A look that comes late counts as one: where the loop itself
is busy, with a thousand new callers say, the answer may lie there unread, and Redis is not to blame.
"""


class Patience:
    """Seconds that Redis has for an answer. `spent` is what it has taken, in whole looks."""

    _look: asyncio.TimerHandle

    def __init__(self, seconds: float) -> None:
        self.spent = 0.0
        self._seconds = seconds

    @property
    def left(self) -> float:
        return self._seconds - self.spent

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Raises `TimeoutError` when they are over."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:

            def look() -> None:
                self.spent += LOOK
                if self.left > 0:
                    self._look = loop.call_later(LOOK, look)
                else:
                    limit.reschedule(loop.time())

            self._look = loop.call_later(LOOK, look)
            try:
                yield
            finally:
                self._look.cancel()


class Line:
    """A connection that is made when it is needed, and again when it is gone."""

    def __init__(self, settings: RedisSettings, at: tuple[str, int] | None = None) -> None:
        self._connection = connection(settings, at)
        self.host: str = getattr(self._connection, "host", "")
        self.era: object = None
        """Another one for each connection: what was told by an earlier one Redis may have forgotten since."""

    async def ask(self, asked: Sequence[Given], patience: Patience) -> list[Any]:
        """The script's answers in order, each as Redis gave it, or the `ResponseError` that it gave instead.

        Raises what is `AWAY` when there are no answers, and leaves no connection.
        """
        try:
            async with patience.run():
                return await self._again_if_stale(asked)
        except BaseException:
            await self.aclose()
            raise

    async def _again_if_stale(self, asked: Sequence[Given]) -> list[Any]:
        """A connection of before may be dead, since Redis was begun again, say: that is no failure of this one's.

        What it has counted before it died is counted twice then, which errs on the side of the limit.
        """
        stale = self._connection.is_connected
        try:
            return await self._run(asked)
        except AWAY:
            if not stale:
                raise
        return await self._run(asked)

    async def _run(self, asked: Sequence[Given]) -> list[Any]:
        line = self._connection
        if not line.is_connected:
            await connect(line)
            self.era = object()
        given = [each(self.era) for each in asked]
        answers = await self._exchange([(b"EVALSHA", SHA, *arguments) for arguments in given])
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:  # nothing was done for these; the first brings the script along
            first, *others = unknown
            commands = [(b"EVAL", SCRIPT.encode(), *given[first]), *((b"EVALSHA", SHA, *given[i]) for i in others)]
            for i, answer in zip(unknown, await self._exchange(commands), strict=True):
                answers[i] = answer
        return answers

    async def _exchange(self, commands: Sequence[tuple[bytes, ...]]) -> list[Any]:
        line = self._connection
        await line.send_packed_command(line.pack_commands(commands), check_health=False)
        return [await self._answer() for _ in commands]

    async def _answer(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error

    async def aclose(self) -> None:
        await self._connection.disconnect(nowait=True)
