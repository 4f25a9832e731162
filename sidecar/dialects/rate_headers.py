"""How long a provider wants to be left alone, as told by answers that are no 429 yet.

OpenAI (https://platform.openai.com/docs/guides/rate-limits) tells resets as durations,
Anthropic (https://docs.anthropic.com/en/api/rate-limits) as times, the IETF's drafts
(draft-ietf-httpapi-ratelimit-headers) as seconds: in three fields until the sixth, since
then in one, whose notation changed with the eighth. Servers that imitate one of them
borrow from the others, so a reset is read in each notation wherever it stands.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_WINDOWS = tuple(
    (pattern % b"remaining", pattern % b"reset", pattern % b"limit")
    for pattern in (
        b"x-ratelimit-%b-requests",
        b"x-ratelimit-%b-tokens",
        b"x-ratelimit-%b",
        b"anthropic-ratelimit-requests-%b",
        b"anthropic-ratelimit-tokens-%b",
        b"anthropic-ratelimit-input-tokens-%b",
        b"anthropic-ratelimit-output-tokens-%b",
        b"ratelimit-%b",
    )
)
"""Those of Anthropic's priority tier are not here: without it calls go on at the standard one."""

_NUMBER = re.compile(rb"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_DURATION = re.compile(
    rb"(?=[0-9])(?:([0-9]{1,6})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m(?!s))?"
    rb"(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,12}(?:\.[0-9]{1,9})?)ms)?"
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')

_TIME = 1e9
"""A greater number of seconds is no length but a time since 1970 (2001 and later) …"""
_MILLISECONDS = 1e11
"""… and a greater one than this is a time in milliseconds (1973 and later; OpenRouter)."""


def rest_told(fields: dict[bytes, bytes], now: float) -> float:
    """Seconds until the latest reset of a window of which the fields say that nothing remains; 0.0 when none does.

    `fields` have lower-case names; `now` is seconds since 1970. What cannot be read tells
    nothing, nor does a window whose limit is 0: it would never have let this answer through.
    """
    told = 0.0
    for remaining, reset, limit in _WINDOWS:
        if fields.get(remaining) == b"0" and fields.get(limit) != b"0":
            told = max(told, _seconds(fields.get(reset, b""), now))
    both = fields.get(b"ratelimit")
    if both is not None and b"=0" in both:
        told = max(told, _of_one_field(both, now))
    return told


def _of_one_field(value: bytes, now: float) -> float:
    """`"name";r=0;t=30, …` (a window each), or `limit=100, remaining=0, reset=50`."""
    told = 0.0
    together: dict[bytes, bytes] = {}
    for window in _QUOTED.sub(b"", value).split(b","):
        words = dict(_pair(word) for word in window.split(b";"))
        if words.get(b"r") == b"0":
            told = max(told, _seconds(words.get(b"t", b""), now))
        together |= words
    if together.get(b"remaining") == b"0" and together.get(b"limit") != b"0":
        told = max(told, _seconds(together.get(b"reset", b""), now))
    return told


def _pair(word: bytes) -> tuple[bytes, bytes]:
    key, _, value = word.partition(b"=")
    return key.strip(), value.strip()


def _seconds(reset: bytes, now: float) -> float:
    """From now until then: a number, a duration with units, or a time (RFC 3339)."""
    if _NUMBER.fullmatch(reset):
        number = float(reset)
        if number > _MILLISECONDS:
            return max(number / 1000 - now, 0.0)
        return max(number - now, 0.0) if number > _TIME else number
    duration = _DURATION.fullmatch(reset)
    if duration is not None:
        return sum(float(part) * unit for part, unit in zip(duration.groups(), _UNITS, strict=True) if part)
    try:
        time = datetime.fromisoformat(reset.decode("ascii"))
        return max((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return 0.0
