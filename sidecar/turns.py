"""Long work on the loop, in slices between which calls go on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

T = TypeVar("T")


async def in_turns(things: Sequence[T], most: int) -> AsyncIterator[Sequence[T]]:
    """At most so many at a time, in their order; between two of them whatever else is ready has its turn."""
    for start in range(0, len(things), most):
        if start:
            await asyncio.sleep(0)
        yield things[start : start + most]
