"""c-gateway's rate limits: a fixed window, one for the whole process, whoever calls."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Group(enum.StrEnum):
    """What is counted together, by the names in `/_metrics`."""

    DECIDE = "routes_decide"
    MESSAGES = "messages"
    REGISTRY = "registry_blocks"

    @property
    def endpoint(self) -> bytes:
        """As its 429 calls it."""
        return b"/api/v1/" + self.value.replace("_", "/").encode()


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls per `window` seconds, a number for each group."""

    decide: int = 50
    messages: int = 100
    registry: int = 200
    window: int = 60

    def of(self, group: Group) -> int:
        """The number for that group."""
        return {Group.DECIDE: self.decide, Group.MESSAGES: self.messages, Group.REGISTRY: self.registry}[group]


@dataclass(slots=True)
class Windows:
    """Who still may. `clock` gives seconds since 1970, of which whole ones count."""

    limits: Limits
    clock: Callable[[], float]
    began: int | None = None
    taken: dict[Group, int] = field(default_factory=dict)

    def take(self, group: Group) -> bool:
        """Whether there was one left. The first call after a window's end begins the next, for all groups."""
        now = int(self.clock())
        if self.began is None or now - self.began >= self.limits.window:
            self.began = now
            self.taken = dict.fromkeys(Group, 0)
        if self.taken[group] >= self.limits.of(group):
            return False
        self.taken[group] += 1
        return True
