"""What a reload does with the parts that have a state (breakers, limits, connections), in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.cli.changes import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WORDS = {
    "breaker": "circuit breaker",
    "rest": "rest of",
    "budget": "retry budget of",
    "limit": "rate limit of",
    "concurrency": "concurrency of",
    "inflight": "max_inflight",
    "http": "connections to",
    "grpc": "channels to",
    "addresses": "addresses of",
    "store": "shared limits in",
}
"""What people call the kinds of parts, before their names."""

ANEW = {
    "breaker": "closed, its window empty",
    "rest": "the target no longer rests",
    "budget": "counts calls and retries from nothing",
    "limit": "keeps the share of its level",
    "http": "opened anew, and health checked anew; calls under way end on the old ones",
    "grpc": "opened anew; calls under way end on the old ones",
    "addresses": "none is set aside",
    "store": "connected anew; what was counted is brought along",
}
"""In which state a part of that kind begins whose settings have changed."""


def by_kind(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A text for each kind, with its names: `circuit breaker a, b`."""
    for kind, names in _kinds(named).items():
        yield f"{WORDS.get(kind, kind)} {listed(names)}".rstrip()


def begun_anew(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The same of parts that were reset, with what that means: `circuit breaker a: closed, its window empty`."""
    named = list(named)
    for kind, text in zip(_kinds(named), by_kind(named), strict=True):
        yield f"{text}: {ANEW.get(kind, 'begins anew')}"


def _kinds(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for kind, name in named:
        kinds.setdefault(kind, []).append(name)
    return kinds
