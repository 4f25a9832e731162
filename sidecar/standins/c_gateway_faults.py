"""What can be made to go wrong in the stand-in c-gateway, written as `faults.py` says.

A fault is met by the calls that the gateway would take to the Router, and there where
the real one has it: a rate limit is not met by a call that was refused for its tenant.
`/health` and the metrics stay well, as they do in the real one, unless nobody listens.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sidecar.standins.faults import Written


class GatewayKind(enum.StrEnum):
    """What goes wrong. The first answers well."""

    NONE = "none"
    ROUTER_ERROR = "router-error"
    """The Router refuses with `code`; what HTTP status that becomes is the gateway's own table."""
    NOT_JSON = "not-json"
    """The Router's answer is text: 200, and said to be JSON."""
    ACK = "jetstream-ack"
    """A stream has taken the question: its receipt comes as the decision, with 200."""
    UNAVAILABLE = "unavailable"
    """No Router, an empty answer, or one that is too long: 503 at once."""
    TIMEOUT = "timeout"
    """The Router never answers: 503 after `delay`."""
    BACKPRESSURE = "backpressure"
    """503 with Retry-After 30, and Content-Length twice."""
    RATE_LIMITED = "rate-limited"
    """429, as if the window were full."""
    SLOW = "slow"
    """Answers well, after `delay`; all others wait behind it."""
    FALSE_EMPTY = "false-empty"
    """400 for an empty body though one was sent: what a split read gives."""
    DEAD = "dead"
    """Nobody listens, and who was connected is no more."""
    RESET = "reset"
    """Resets the connection before a byte of the answer."""
    RESET_BODY = "reset-body"
    """Resets it in the middle of the body."""
    CLOSE = "close"
    """Closes it without an answer."""
    SHORT = "short"
    """Sends half of what Content-Length promises, then closes."""


@dataclass(frozen=True, slots=True)
class GatewayFault(Written):
    """One kind and its figures; `share` and `lasts` as in `Fault`, `code` is the Router's word."""

    kind: GatewayKind = GatewayKind.NONE
    share: float = 1.0
    code: str = "internal"
    delay: float = 2.0
    lasts: float = 0.0

    def __post_init__(self) -> None:
        self.check("delay", "lasts")


WELL = GatewayFault()
