"""Why an exchange with an upstream ended without its whole reply.

Each failure knows which fact it is (`what`, the rows of the decision table), so
that whoever sends a call translates them all in one line.
"""

from __future__ import annotations

from typing import ClassVar

from sidecar.call import What


class ExchangeFailed(Exception):  # noqa: N818  what happened to an exchange is a fact to be judged, not a fault of ours
    """The exchange is over; `detail` is one line for the log."""

    kind: ClassVar[What] = What.RESET

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.what = self.kind


class ConnectFailed(ExchangeFailed):
    """No connection could be made: name, address, TLS or proxy."""

    kind = What.NO_CONNECTION


class PoolFull(ExchangeFailed):
    """No connection of the pool came free in time."""

    kind = What.OVERLOADED


class ConnectionDied(ExchangeFailed):
    """Reset or closed before a byte of the reply came.

    `what` tells apart: `DEAD_UNWRITTEN` (a reused connection, not a byte of ours was
    written), `DEAD_WRITTEN` (a reused one, after bytes were written) and `RESET` (a
    new one: nothing excuses it).
    """

    def __init__(self, detail: str, *, reused: bool, written: bool) -> None:
        super().__init__(detail)
        if reused:
            self.what = What.DEAD_WRITTEN if written else What.DEAD_UNWRITTEN


class ReplyCut(ExchangeFailed):
    """Reset or closed inside the reply: some of it came, its end did not."""


class ReplyUnparseable(ExchangeFailed):
    """What came is not an HTTP/1.1 reply, or its length cannot be trusted (RFC 9112, section 6.3)."""

    kind = What.UNPARSEABLE


class ReplyStalled(ExchangeFailed):
    """No byte of the reply's body for the idle timeout."""

    kind = What.TIMED_OUT
