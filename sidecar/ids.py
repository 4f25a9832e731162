"""Ids that are new in every process and cheap for every call.

A request's id is a random prefix and a counter: 0.3 us against 2 us for a uuid4. The ids of a trace are random as a
whole, since samplers further down take the right part of them for chance. Unique, not secret.
"""

from __future__ import annotations

import itertools
import re
import secrets
from random import Random

SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""What an id sent by a caller may look like to be kept."""

_TRACEPARENT = re.compile(
    rb"(?!ff|00.{54})"  # no such version; version 00 has 55 characters, later ones may have more
    rb"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)

_NEVER_ZERO = 1 << 191 | 1 << 63
"""The first bit of a trace's id and of a span's: neither may be 0, and the 56 bits on the right are left to chance
(W3C Trace Context, level 2, section 3.2.2.3).
"""


class Ids:
    """Makes request ids and trace contexts."""

    __slots__ = ("_chance", "_next", "_prefix")

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._chance = Random().getrandbits  # noqa: S311 - unique, not secret; its own, so that nobody seeds it
        self._next = itertools.count(secrets.randbits(60)).__next__

    def new(self) -> str:
        """A new id of 28 characters."""
        return f"{self._prefix}{self._next():016x}"

    def traceparent(self, sent: bytes | None) -> bytes:
        """The caller's trace context if it is one, else a new one (W3C Trace Context, section 3.2).

        A new one is marked as sampled: whether to record is for those who record to decide.
        """
        if sent is not None and _TRACEPARENT.fullmatch(sent):
            return sent
        drawn = (self._chance(192) | _NEVER_ZERO).to_bytes(24, "big").hex()
        return f"00-{drawn[:32]}-{drawn[32:]}-01".encode()


def sane(sent: bytes | None) -> str:
    """An id as the caller sent it, empty when there is none or it is not fit to be kept."""
    return sent.decode("ascii") if sent is not None and SANE.fullmatch(sent) else ""
