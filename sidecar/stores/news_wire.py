"""Carries breaker news over Redis' publish and subscribe: one task listens, one tells.

Nothing is stored, so who was away has missed it, and who comes back hears nothing old.
No call waits for any of this. Without Redis each sidecar is as it would be alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from sidecar.stores.news_message import CHANNEL
from sidecar.stores.redis_client import client, why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidecar.settings import RedisSettings
    from sidecar.stores.news import BreakerNews, Guard

log = logging.getLogger("sidecar")

PATIENCE = 2.0
"""Seconds for a connection with the answer to what is asked first, and for each later one."""
QUIET = 15.0
"""Seconds of silence after which Redis is asked whether it is there, and again until it is believed to be gone."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0
"""Seconds before it is tried again, doubling; half of it is chance, since a whole fleet loses the same Redis."""


class NewsWire:
    """The connection of `news` with other sidecars: two, as Redis answers no command where somebody listens."""

    def __init__(
        self, settings: RedisSettings, news: BreakerNews, rng: Callable[[], float], *, quiet: float = QUIET
    ) -> None:
        self.news = news
        self.listens = False
        """Whether what others tell arrives here now."""
        self._rng = rng
        self._quiet = quiet
        # Without a timeout of its own: the client would wait by `wait_for`, which swallows a cancellation now and then.
        self._redis = client(settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._told_of_loss = False
        self._why = "not connected yet"

    @property
    def state(self) -> str:
        """For health: `ok`, or why the others are not heard."""
        return "ok" if self.listens else f"not heard: {self._why}"

    def follow(self, guards: Mapping[str, Guard]) -> None:
        """Tell and hear of these breakers, by name; from the first time on until `aclose`."""
        self.news.follow(guards)
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._listen(), name="breaker news heard"),
                asyncio.create_task(self._tell(), name="breaker news told"),
            ]

    async def aclose(self) -> None:
        self.news.follow({})
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.aclose()

    async def _listen(self) -> None:
        wait = FIRST_WAIT
        while True:
            try:
                await self._hear_until_it_is_too_much()
                wait = 1.0
                self._why = "too many came at once"
            except Exception as error:  # noqa: BLE001 - a stranger's bytes may make anything of the client
                wait = FIRST_WAIT if self.listens else min(2 * wait, LONGEST_WAIT)
                self._lost(error)
            finally:
                self.listens = False
            await asyncio.sleep(wait * (1 + self._rng()) / 2)

    async def _hear_until_it_is_too_much(self) -> None:
        """Raises whatever the client does. A fresh connection has nothing of what waited for the one before."""
        listening = self._redis.pubsub()
        try:
            async with asyncio.timeout(PATIENCE):
                await listening.subscribe(CHANNEL)
            asked = False
            while True:
                said = await listening.get_message(timeout=self._quiet)
                if said is None:
                    if asked:
                        raise TimeoutError(f"it says nothing for {2 * self._quiet:.0f} s")
                    asked = True
                    async with asyncio.timeout(PATIENCE):
                        await listening.ping()
                    continue
                asked = False
                if said["type"] == "subscribe":
                    self._found()
                elif said["type"] == "message" and not self.news.hear(said["data"]):
                    return
        finally:
            await listening.aclose()  # type: ignore[no-untyped-call]  # redis-py's

    async def _tell(self) -> None:
        while True:
            message = await self.news.next()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._redis.publish(CHANNEL, message)
            except Exception:  # noqa: BLE001 - as above
                self.news.sent(arrived=False)
            else:
                self.news.sent(arrived=True)

    def _found(self) -> None:
        self.listens = True
        if self._told_of_loss:
            self._told_of_loss = False
            log.info("breaker news are heard again")

    def _lost(self, error: BaseException) -> None:
        """Said once, until it is heard again."""
        self._why = why(error)
        if not self._told_of_loss:
            self._told_of_loss = True
            log.warning("breaker news are not heard: %s", self._why)
