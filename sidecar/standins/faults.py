"""How a stand-in misbehaves, and how a person says so.

A fault is written `KIND` or `KIND:key=value,key=value` on a command line, such as
`fail:status=503,share=0.5`, and as `{"kind": "fail", "status": 503, "share": 0.5}`
in JSON. All times are seconds, all sizes bytes.
"""

from __future__ import annotations

import enum
from dataclasses import Field, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Kind(enum.StrEnum):
    """What goes wrong. The first answers well; the last four are only unusual."""

    NONE = "none"
    FAIL = "fail"
    """Answers with `status`."""
    SLOW = "slow"
    """Answers well, after `delay`."""
    DEAD = "dead"
    """Nobody listens: the port is closed, and so is every connection."""
    RESET = "reset"
    """Resets the connection before a byte of the reply."""
    RESET_BODY = "reset-body"
    """Resets it in the middle of the body."""
    SHORT = "short"
    """Sends less than Content-Length promises, then closes."""
    LONG = "long"
    """Sends more than Content-Length promises."""
    GARBAGE = "garbage"
    """Answers with bytes that are no HTTP."""
    CUT = "cut"
    """Breaks a stream of events after `events`, without its end."""
    THROTTLE = "throttle"
    """429 with Retry-After."""
    UNAVAILABLE = "unavailable"
    """503 with Retry-After."""
    HUGE = "huge"
    """A body of `size`."""
    EVENTS = "events"
    """A stream of `events` server-sent events, one `every` so many seconds."""
    TRAILERS = "trailers"
    """A chunked body with trailers."""
    HINTS = "hints"
    """Sends 103 Early Hints before the reply."""


class Written:
    """What a fault of any stand-in has in common: figures with defaults, which a person may write.

    A frozen dataclass made from this one has at least `kind`, `share` and `lasts`.
    """

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    share: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `KIND:key=value,…`. Raises `ValueError` with what is allowed."""
        kind, _, rest = text.partition(":")
        figures: dict[str, object] = {"kind": kind}
        for pair in filter(None, rest.split(",")):
            key, _, value = pair.partition("=")
            figures[key.strip()] = value.strip()
        return cls.of(figures)

    @classmethod
    def of(cls, figures: Mapping[str, object]) -> Self:
        """From names and values as JSON or a command line gives them. Raises `ValueError`."""
        known: dict[str, object] = {field.name: field.default for field in fields(cls)}
        made: dict[str, object] = {}
        for key, value in figures.items():
            if key not in known:
                raise ValueError(f"no figure {key!r} (allowed: {', '.join(known)})")
            make: Callable[[object], object] = type(known[key])
            try:
                made[key] = make(value)
            except (TypeError, ValueError):
                default = known[key]
                allowed = f"a number such as {default}"
                if isinstance(default, enum.StrEnum):
                    allowed = ", ".join(type(default))
                raise ValueError(f"{key}: {value!r} will not do (allowed: {allowed})") from None
        return cls(**made)

    def check(self, *sizes: str) -> None:
        """Raise `ValueError` when the share is none, or one of these figures is less than nothing."""
        if not 0 <= self.share <= 1:
            raise ValueError(f"share: {self.share} is not between 0 and 1")
        for name in sizes:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: {getattr(self, name)} is less than nothing")

    def meets(self, count: int) -> bool:
        """Whether the request number `count` (from 0) meets it; the same answer each time."""
        # The small addition keeps 0.1 + 0.1 + … from falling short of a whole by rounding.
        return int((count + 1) * self.share + 1e-9) > int(count * self.share + 1e-9)


@dataclass(frozen=True, slots=True)
class Fault(Written):
    """One kind of misbehaviour and its figures. `share` of the requests meet it, evenly
    spread: at 0.5 every second one. `lasts` is for how long; 0 means until told otherwise.
    """

    kind: Kind = Kind.NONE
    share: float = 1.0
    status: int = 500
    delay: float = 2.0
    retry_after: int = 1
    events: int = 5
    every: float = 0.2
    size: int = 64 << 20
    lasts: float = 0.0

    def __post_init__(self) -> None:
        self.check("delay", "retry_after", "events", "every", "size", "lasts")
        if not 200 <= self.status <= 599:
            raise ValueError(f"status: {self.status} is not between 200 and 599")


HEALTHY = Fault()
