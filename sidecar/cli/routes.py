"""Routes in a few words, the same of a file (`check`) and of a running sidecar (`status`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def match_words(match: Mapping[str, Any]) -> str:
    """`POST a.test/v1/* [name: value]`: which calls it takes. `match` may lack what is not set."""
    methods = "|".join(match.get("methods") or ())
    place = match.get("grpc") or f"{match.get('host') or ''}{match.get('path') or '/*'}"
    headers = " ".join(f"{name}: {value}" for name, value in (match.get("headers") or {}).items())
    return " ".join(part for part in (methods, place, headers and f"[{headers}]") if part)


def chain_words(names: Sequence[str], weights: Sequence[int] | None) -> str:
    """Targets in order; a split of traffic with its shares."""
    if not weights:
        return " → ".join(names)
    total = sum(weights)
    return ", ".join(f"{name} {100 * weight / total:.3g} %" for name, weight in zip(names, weights, strict=True))
