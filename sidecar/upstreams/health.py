"""Active checks: an upstream that does not answer its health path is left alone until it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.http1.failures import ExchangeFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidecar.http1.client import ClientConnection
    from sidecar.http1.connect import Connector
    from sidecar.http1.drains import Drains

log = logging.getLogger("sidecar")

MISSED_ROUNDS = 3
"""A rest outlasts so many rounds, so that it ends by itself should the checking stop."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One address to check, and the request to send, head and blank line.

    Each check has a connection of its own: a pool that is full says nothing of the upstream's health.
    """

    connector: Connector
    request: bytes = field(repr=False)


class HealthCheck:
    """Asks all addresses at each `interval` (seconds); the upstream is well when one of them answers 2xx.

    With `finish` a check that takes longer than `timeout` is not cut, but read to its end; until then it
    has failed, and its address is not asked again: an upstream that is stuck is not helped by more callers.
    """

    def __init__(
        self,
        name: str,
        addresses: Sequence[Checked],
        *,
        interval: float,
        timeout: float,
        finish: Drains | None = None,
    ) -> None:
        self._name = name
        self._addresses = tuple(addresses)
        self._interval = interval
        self._timeout = timeout
        # One round may take as long: an upstream that says nothing must not be asked between two of them.
        self._rest = MISSED_ROUNDS * (interval + timeout * len(self._addresses))
        self._finish = finish
        self._unfinished: set[Checked] = set()
        self._judge: Callable[[float], None] = _nobody
        self._well = True
        self._task: asyncio.Task[None] | None = None

    def start(self, judge: Callable[[float], None]) -> None:
        """`judge` hears after each round: the seconds to rest, 0 for none. Started again, only the judge changes, and
        hears at once of an upstream that is not well: it may judge for targets that did not exist in the last round.
        """
        self._judge = judge
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"health of {self._name}")
        elif not self._well:
            judge(self._rest)

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            well = any([await self._ask(address) for address in self._addresses])
            if well != self._well:
                self._well = well
                level, fields = (logging.INFO if well else logging.WARNING), {"fields": {"upstream": self._name}}
                log.log(level, "health check passed again" if well else "health check failed", extra=fields)
            self._judge(0.0 if well else self._rest)
            await asyncio.sleep(self._interval)

    async def _ask(self, address: Checked) -> bool:
        if address in self._unfinished:
            return False
        try:
            async with asyncio.timeout(self._timeout):
                connection = await address.connector.connect(self._timeout)
                try:
                    connection.send(address.request)
                    head = await connection.head()
                finally:
                    self._leave(connection, address)
        except (ExchangeFailed, TimeoutError):
            return False
        return 200 <= head.status < 300

    def _leave(self, connection: ClientConnection, address: Checked) -> None:
        if self._finish is None or not connection.unanswered:
            connection.close()
            return

        def ended() -> None:
            connection.close()
            self._unfinished.discard(address)

        self._unfinished.add(address)
        self._finish.take(connection, ended)


def _nobody(_seconds: float) -> None:
    """Nobody has asked yet."""
