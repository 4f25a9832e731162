"""What of a traced call has to be known while it lasts: its ids, its attempts' ids, and what has no step.

All else is put together when the call is over (`spans.py`). Nothing here needs OpenTelemetry.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import getrandbits
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.llm import Usage

SAMPLED = 1
"""The flag of W3C Trace Context (section 3.2.2.5) that says that a trace is kept."""

PORTS = {"http": 80, "https": 443}


def new_id(bits: int) -> int:
    """A span's id (64 bits) or a trace's (128): by chance, since samplers take the lower half for chance, and never 0,
    which is none.
    """
    return getrandbits(bits) or 1


def traceparent(trace_id: int, span_id: int, flags: int) -> bytes:
    """The header's value (W3C Trace Context, section 3.2)."""
    return b"00-%032x-%016x-%02x" % (trace_id, span_id, flags)


@dataclass(frozen=True, slots=True)
class Peer:
    """Where the attempts of a target go: its upstream's `protocol`, its `places` (host and port of each address, port
    0 where there is none), the `model` that the file has it ask for, the name of its `breaker`.
    """

    protocol: str = ""
    places: tuple[tuple[str, int], ...] = ()
    model: str = ""
    breaker: str = ""

    @classmethod
    def of(cls, protocol: str, urls: Iterable[str], *, model: str = "", breaker: str = "") -> Peer:
        return cls(protocol, tuple(map(place, urls)), model, breaker)


def place(url: str) -> tuple[str, int]:
    """Host and port of a URL of the file; of `unix:/path` the path and no port."""
    if url.startswith("unix:"):
        return url.removeprefix("unix:"), 0
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)


NOWHERE = Peer()
"""Of what answers without an upstream of its own."""


class Sending:
    """One attempt: its span's id, and what is known of it when it is over."""

    peer = NOWHERE
    ttfb = 0.0
    usage: Usage | None = None
    model = ""
    """The one that answered, as the provider names it."""
    code = ""
    """gRPC: the status that its stream ended with, long after evidence."""

    def __init__(self, span_id: int, target: str, address: int) -> None:
        self.span_id = span_id
        self.target = target
        self.address = address


class Fallback(NamedTuple):
    """The call went on to another target. `at` is Unix time, nanoseconds."""

    at: int
    source: str
    target: str
    reason: str


class CallSpan:
    """The live part of a call's trace; the engine's `Span`. `parent` is what the caller sent, as `Spans` keeps it."""

    fallbacks: tuple[Fallback, ...] = ()
    """Most calls have none."""

    def __init__(self, trace_id: int, span_id: int, flags: int, parent: object, state: object) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.parent = parent
        self.state = state
        self.sendings: list[Sending] = []

    def attempt(self, target: str, address: int) -> bytes:
        """An attempt begins: the `traceparent` that its upstream is to see."""
        sending = Sending(new_id(64), target, address)
        self.sendings.append(sending)
        return traceparent(self.trace_id, sending.span_id, self.flags)

    def answered(self, model: str) -> None:
        self.sendings[-1].model = model

    def attempted(self, peer: Peer, ttfb: float) -> None:
        """The last attempt is over: where it went, and how long (s) it took to evidence, 0 where none came."""
        sending = self.sendings[-1]
        sending.peer, sending.ttfb = peer, ttfb

    def spent(self, usage: Usage) -> None:
        """The last attempt used so many tokens."""
        self.sendings[-1].usage = usage

    def fell_back(self, at: int, source: str, target: str, reason: str) -> None:
        self.fallbacks = (*self.fallbacks, Fallback(at, source, target, reason))
