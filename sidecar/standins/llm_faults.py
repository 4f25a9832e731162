"""What can be made to go wrong in the stand-in providers, written as `faults.py` says.

A fault of a stream counts tokens: the events that bring content. In an answer that is no
stream the same kinds do what is nearest: half of the body instead of some of the events.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sidecar.standins.faults import Written


class Kind(enum.StrEnum):
    """What goes wrong. The first answers well."""

    NONE = "none"
    STATUS = "status"
    """Refuses with `status`, in the provider's own words; `code` chooses among those of one status."""
    SLOW = "slow"
    """Answers well, after `delay`."""
    DEAD = "dead"
    """Nobody listens: the port is closed, and so is every connection."""
    RESET = "reset"
    """Resets the connection before a byte of the reply."""
    CLOSE = "close"
    """Closes it without a reply."""
    GARBAGE = "garbage"
    """Answers with bytes that are no HTTP."""

    FIRST_TOKEN = "first-token"  # noqa: S105  (of a text)
    """Head and quiet events come at once, the first token after `delay`."""
    STALL = "stall"
    """Is silent for `delay` after `tokens`, then goes on."""
    CUT = "cut"
    """Closes between two events after `tokens`: FIN, no final chunk."""
    CUT_INSIDE = "cut-inside"
    """Closes in the middle of the event that follows `tokens`."""
    CUT_RESET = "cut-reset"
    """Resets after `tokens`."""
    HALF_CLOSED = "half-closed"
    """Ends its own half after `tokens` and goes on listening."""
    NO_FINAL_CHUNK = "no-final-chunk"
    """All events, the dialect's last one too; then it closes without the chunk that ends a body."""

    MALFORMED = "malformed"
    """An event after `tokens` that is no JSON; a whole body that is none."""
    ERROR_FIRST = "error-first"
    """200, and the first event is the error of `status` and `code`."""
    ERROR_INSIDE = "error-inside"
    """The error of `status` and `code` after `tokens`, and nothing behind it."""
    NO_DONE = "no-done"
    """The dialect's last event does not come; the body ends in order."""
    NO_DONE_OPEN = "no-done-open"
    """It does not come, and the body never ends."""
    NO_FINISH = "no-finish"
    """No choice says why it ended."""
    STOP_WITH_TOOLS = "stop-with-tools"
    """Tools are called, and the reason for the end is that of a text."""
    USAGE_NEVER = "usage-never"
    USAGE_EACH = "usage-each"
    """Every event has a usage."""
    USAGE_NULL = "usage-null"
    EMPTY = "empty"
    """200 and nothing."""

    NAMELESS = "nameless"
    """No `event:` lines."""
    CRLF = "crlf"
    """Lines end as in HTTP."""
    BOM = "bom"
    """The stream begins with a byte order mark."""
    COMMENTS = "comments"
    """A comment before each event, and one that is empty."""
    LINES = "lines"
    """Each event's data stand on several lines."""
    DRIBBLE = "dribble"
    """Pieces of `size` bytes, wherever they end."""
    HUGE = "huge"
    """One token of `size`."""
    SHORT = "short"
    """A whole body of which Content-Length promises `size` more."""
    LONG = "long"
    """A whole body of which Content-Length promises half."""
    GZIP = "gzip"
    """Compressed, whatever was accepted."""
    IDENTITY_ONLY = "identity-only"
    """406 for who accepts any compression, 415 for who compressed the request."""


ANSWERLESS = frozenset(
    {Kind.STATUS, Kind.DEAD, Kind.RESET, Kind.CLOSE, Kind.GARBAGE, Kind.ERROR_FIRST, Kind.EMPTY, Kind.IDENTITY_ONLY}
)
"""Kinds that say nothing of the model's: an answer that was scripted stays for the next request."""


@dataclass(frozen=True, slots=True)
class Fault(Written):
    """One kind and its figures.

    `share` of the requests meet it, evenly spread, but no more than `times` (0: all of them), and only those that name
    `model` (empty: any). `retry_after` and `retry_after_ms` are sent as they are written; empty ones are not sent.
    `lasts` is for how many seconds; 0 means until told otherwise.
    """

    kind: Kind = Kind.NONE
    share: float = 1.0
    times: int = 0
    model: str = ""
    status: int = 500
    code: str = ""
    retry_after: str = ""
    retry_after_ms: str = ""
    delay: float = 2.0
    tokens: int = 3
    size: int = 100_000
    lasts: float = 0.0

    def __post_init__(self) -> None:
        self.check("times", "delay", "tokens", "size", "lasts")
        if not 400 <= self.status <= 599:
            raise ValueError(f"status: {self.status} is not between 400 and 599")
        if self.kind is Kind.DRIBBLE and not self.size:
            raise ValueError("size: a piece has at least 1 byte")


HEALTHY = Fault()
