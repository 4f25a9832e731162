"""What sidecars tell one another of their breakers: one small JSON object per message, on one channel.

    {"v": 1, "from": "9f2c…", "breaker": "orders", "upstream": "3b1f…", "to": "open"}

`upstream` is a digest of who is guarded, since two files may give different services
one name. Nothing of a message is trusted: what cannot be read is `None`, whatever it is.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

CHANNEL = "sidecar:breakers"
LONGEST = 4096
"""Bytes that are looked at: names in policy files are far shorter."""

_VERSION = 1

To = Literal["open", "closed"]


class Message(NamedTuple):
    """A breaker of `sender`'s has opened, or closed again, by calls of its own."""

    sender: str
    breaker: str
    upstream: str
    to: To

    def encoded(self) -> bytes:
        return orjson.dumps(
            {"v": _VERSION, "from": self.sender, "breaker": self.breaker, "upstream": self.upstream, "to": self.to}
        )


def read(data: object) -> Message | None:
    """The message in what came over the channel; None when it is none that we know."""
    if not isinstance(data, bytes) or len(data) > LONGEST:
        return None
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(told, dict) or told.get("v") != _VERSION:
        return None
    sender, breaker, upstream, to = (told.get(key) for key in ("from", "breaker", "upstream", "to"))
    if not isinstance(sender, str) or not isinstance(breaker, str) or not isinstance(upstream, str):
        return None
    if to == "open" or to == "closed":  # noqa: PLR1714 - mypy narrows this, not a set
        return Message(sender, breaker, upstream, to)
    return None


def digest_of(protocol: str, urls: Iterable[str], machine: str) -> str:
    """Who an upstream is, wherever it is asked from: its protocol and addresses. What is on loopback or a Unix socket
    is another one on each machine (in a pod: in each pod), so there `machine` counts, too.
    """
    places = sorted(urls)
    local = machine if any(map(_stays_here, places)) else ""
    return hashlib.sha256("\n".join((protocol, local, *places)).encode()).hexdigest()[:32]


def _stays_here(url: str) -> bool:
    if url.startswith("unix:"):
        return True
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
