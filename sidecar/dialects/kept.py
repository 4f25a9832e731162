"""How much of one answer its translation keeps: what a provider says without end must not fill the memory."""

from __future__ import annotations

from sidecar.dialects.translated import BadEvent

LONGEST = 8 * 1024 * 1024
"""Bytes of one answer that are kept."""

BLOCK = 512
"""Bytes that a block takes beside what it says."""


class Kept:
    """Counts the bytes. `count` raises `BadEvent` when they are too many."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        self._size = 0

    def count(self, size: int) -> None:
        """So many more; a negative number is kept no longer."""
        self._size += size
        if self._size > LONGEST:
            raise BadEvent(f"there are more than {LONGEST} bytes of the answer to keep")
