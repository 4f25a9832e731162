"""What a rate limit says of itself, and the face of one that several sidecars count in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(slots=True)
class Quota:
    """What a rate limit says of itself to the caller, one per window.

    `limit` calls per `window` seconds (or LLM tokens, by `unit`); `remaining` now; full again in `reset` seconds.
    """

    limit: int
    window: float
    remaining: int
    reset: float
    unit: str = "requests"


class Taken(NamedTuple):
    """What a shared limit said."""

    wait: float
    """0.0: taken; else in how many seconds there may be a place, and nothing is taken."""
    quotas: list[Quota]
    """What is left to the key now, one per window."""


class SharedLimit(Protocol):
    """The face of a local limit, but that asking takes a round trip."""

    async def take(self, key: str, amount: float = 1.0, tokens: float = 0.0) -> Taken:
        """Take from all windows, or from none. `tokens` are LLM tokens, by an estimate.

        Bounded in time. Raises `Refused` where nobody counts, and the policy file wants no call then.
        """

    def correct(self, key: str, tokens: float) -> None:
        """The estimate was too low (positive) or too high (negative) by so many tokens. Returns at once."""
