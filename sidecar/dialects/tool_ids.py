"""Ids of tool calls, between servers that take any string and Anthropic's, which takes `[a-zA-Z0-9_-]+`.

A model sees its own ids in the history and may learn from them: one whose calls were named `functions.Read:0` must find
them named so again. So an id that Anthropic would refuse is spelled in base64 behind a mark, and comes back as it was.
Nothing is remembered. Every string has one spelling, and every spelling one string: also an id that looks like a
spelling of ours but is none.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

_VALID = re.compile(r"[a-zA-Z0-9_-]+")
_MARK = "sidecar_b64_"


def to_anthropic_id(call: str) -> str:
    """The id as Anthropic takes it; a valid one stays as it is."""
    if _VALID.fullmatch(call) and _original(call) is None:
        return call
    return _spelled(call)


def from_anthropic_id(call: str) -> str:
    """The id that `to_anthropic_id` was given; any other stays as it is."""
    original = _original(call)
    return call if original is None else original


def _spelled(call: str) -> str:
    return _MARK + urlsafe_b64encode(call.encode("utf-8", "surrogatepass")).rstrip(b"=").decode()


def _original(call: str) -> str | None:
    """What `call` spells, None when it is no spelling: it must be the very one that `to_anthropic_id` makes."""
    if not call.startswith(_MARK) or not _VALID.fullmatch(call):
        return None
    digits = call[len(_MARK) :]
    try:
        found = urlsafe_b64decode(digits + "=" * (-len(digits) % 4)).decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return found if to_anthropic_id(found) == call else None
