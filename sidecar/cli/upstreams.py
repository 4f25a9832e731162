"""The upstreams of a running sidecar as a table: which of them are shut out, for how long, and what is connected."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sidecar.cli.circuits import again
from sidecar.cli.output import lasting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.cli.admin_client import Document

HEAD = ("upstream", "protocol", "breaker", "rests", "connections", "url")
STATES = ("active", "idle", "connecting", "waiting")


def upstream_table(upstreams: Document, breakers: Document) -> list[tuple[Any, ...]]:
    """Head and rows. Of an LLM upstream, which has a breaker for each model, those that are shut out have a row."""
    rows = [row for name, upstream in upstreams.items() for row in _rows(name, upstream, breakers)]
    return [HEAD, *rows] if rows else []


def _rows(name: str, upstream: Document, breakers: Document) -> Iterator[tuple[Any, ...]]:
    breaker, resting = upstream["circuit_breaker"], dict(upstream["resting"])
    protocol, connections, url = upstream["protocol"], _connections(upstream), ", ".join(upstream["urls"])
    if not isinstance(breaker, dict):
        yield name, protocol, _breaker(breaker, name, breakers), _longest(resting), connections, url
        return
    counts = Counter(breaker.values())
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items(), key=lambda each: -each[1]))
    yield name, protocol, told, None, connections, url
    for model in dict.fromkeys([*(key for key, state in breaker.items() if state != "closed"), *resting]):
        state = _breaker(breaker.get(model), model, breakers)
        yield f"  {model}", "", state, _longest({model: resting[model]} if model in resting else {}), "", ""


def _breaker(state: str | None, name: str, breakers: Document) -> str:
    if state is None:
        return "off"
    left = again(breakers[name]) if state == "open" and name in breakers else None
    return f"{state}, {left}" if left else state


def _longest(resting: dict[str, float]) -> str | None:
    """Targets of several routes rest apart."""
    return lasting(max(resting.values())) if resting else None


def _connections(upstream: Document) -> str | None:
    counts = {state: sum(pool[state] for pool in upstream["connections"]) for state in STATES}
    told = [f"{count} {state}" for state, count in counts.items() if count]
    told += [str(state) for state in upstream["channels"]]
    aside = sum(address["aside"] > 0 for address in upstream["addresses"])
    if aside:
        told.append(f"{aside} of {len(upstream['addresses'])} addresses aside")
    return ", ".join(told) or None
