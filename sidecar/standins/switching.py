"""A fault is switched on, and ends by itself when its time is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Lasting(Protocol):
    @property
    def lasts(self) -> float:
        """Seconds; 0 until told otherwise."""


F = TypeVar("F", bound=Lasting)


class Switching(Generic[F]):
    """Tells a stand-in what to become: each fault it is switched to, and `well` when that one's time is over."""

    def __init__(self, become: Callable[[F], Awaitable[None]], well: F) -> None:
        self._become = become
        self._well = well
        self.later: asyncio.Task[None] | None = None
        """Done when the present fault has ended by itself; None while it has no end."""

    async def to(self, fault: F) -> None:
        """It holds when this is done."""
        self.forget()
        await self._become(fault)
        if fault.lasts:
            self.later = asyncio.create_task(self._end_after(fault.lasts))

    def forget(self) -> None:
        """The present fault does not end by itself any more."""
        if self.later is not None:
            self.later.cancel()
            self.later = None

    async def _end_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._become(self._well)
