"""The wait that an answer tells (RFC 9110, section 10.2.3), and the finer fields of the providers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidecar.call import Header

LONGEST_WAIT = 366 * 86400.0
"""Seconds. A longer wait told by an upstream means the same to us: not today."""

_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_MILLISECONDS = (b"retry-after-ms", b"x-ms-retry-after-ms")
_SECONDS = b"retry-after"


def parse_wait(fields: Iterable[Header], now_wall: Callable[[], float]) -> float | None:
    """The wait that a reply tells, in seconds from 0 to `LONGEST_WAIT`; None when it tells none that can be read.

    `retry-after-ms` and `x-ms-retry-after-ms` are finer and win over `Retry-After`
    (RFC 9110, section 10.2.3: seconds, or a date in one of three forms). A time in
    the past is 0. `now_wall` is seconds since 1970, asked only for a date.
    """
    told: float | None = None
    for name, value in fields:
        if len(name) not in _LENGTHS:
            continue
        lower = name.lower()
        if lower in _MILLISECONDS:
            milliseconds = _number(value)
            if milliseconds is not None:
                return _bounded(milliseconds / 1000)
        elif lower == _SECONDS and told is None:
            told = _number(value)
            if told is None:
                told = _until(value, now_wall)
    return None if told is None else _bounded(told)


_LENGTHS = frozenset(map(len, (*_MILLISECONDS, _SECONDS)))
"""Most fields of a reply are told apart by their length alone."""


def _number(value: bytes) -> float | None:
    value = value.strip(b" \t")
    return float(value) if _NUMBER.fullmatch(value) else None


def _until(value: bytes, now_wall: Callable[[], float]) -> float | None:
    """Seconds until an HTTP-date (RFC 9110, section 5.6.7: IMF-fixdate, RFC 850, asctime)."""
    try:
        date: datetime = parsedate_to_datetime(value.decode("ascii"))
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)  # asctime names no zone; HTTP's dates are all GMT
        return date.timestamp() - now_wall()
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT)
