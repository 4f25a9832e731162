"""How a stand-in that speaks gRPC misbehaves. Written as in `faults.py`: `fail:code=ABORTED,share=0.5`."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from grpc import StatusCode

from sidecar.standins.faults import Written

PUSHBACK = "grpc-retry-pushback-ms"
"""Trailing metadata: when to try again (gRFC A6, "Pushback")."""


class Kind(enum.StrEnum):
    """What goes wrong. The first answers well."""

    NONE = "none"
    FAIL = "fail"
    """Answers with `code` and `message`."""
    SLOW = "slow"
    """Answers well, after `delay`."""
    DEAD = "dead"
    """Nobody listens: the port is closed, and so is every connection."""
    THROTTLE = "throttle"
    """RESOURCE_EXHAUSTED, come back after `pushback`."""
    UNAVAILABLE = "unavailable"
    """UNAVAILABLE, come back after `pushback`."""


@dataclass(frozen=True, slots=True)
class Fault(Written):
    """One kind of misbehaviour and its figures. `share` of the calls meet it, evenly spread.

    `code` is the name of a gRPC status other than OK, an empty `message` the stand-in's own words. `delay`, `pushback`
    and `lasts` are seconds; a `pushback` below 0 forbids to try again, `lasts` of 0 is until told otherwise.
    """

    kind: Kind = Kind.NONE
    share: float = 1.0
    code: str = "UNAVAILABLE"
    message: str = ""
    delay: float = 2.0
    pushback: float = 1.0
    lasts: float = 0.0

    def __post_init__(self) -> None:
        self.check("delay", "lasts")
        if not math.isfinite(self.pushback):
            raise ValueError(f"pushback: {self.pushback} is no time")
        allowed = [status.name for status in StatusCode if status is not StatusCode.OK]
        if self.code not in allowed:
            raise ValueError(f"code: {self.code!r} will not do (allowed: {', '.join(allowed)})")

    def status(self) -> StatusCode:
        """What a call that meets it ends with, unless it is answered well."""
        match self.kind:
            case Kind.THROTTLE:
                return StatusCode.RESOURCE_EXHAUSTED
            case Kind.UNAVAILABLE:
                return StatusCode.UNAVAILABLE
            case _:
                return StatusCode[self.code]

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The trailing metadata of such an end."""
        if self.kind not in {Kind.THROTTLE, Kind.UNAVAILABLE}:
            return ()
        return ((PUSHBACK, str(round(self.pushback * 1000)) if self.pushback >= 0 else "-1"),)


HEALTHY = Fault()
