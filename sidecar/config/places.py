"""Places in a policy file, and what is wrong at them."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.config.toml_lines import Place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

__all__ = ["Place", "Problem", "dotted", "line_of", "nearest", "remove", "select", "unknown", "within"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake that does not know its file and line yet."""

    place: Place
    problem: str
    allowed: str = ""
    nearest: str = ""
    other: Place = ()
    """The other side, where two places do not go together."""
    follows: tuple[Place, ...] = ()
    """Further places it was concluded from: a mistake in one of them may be all that is wrong."""


def dotted(place: Place) -> str:
    """As one would write it: `routes."a b".chain[1]`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.isascii() and part.replace("-", "").replace("_", "").isalnum()
            text += "." * bool(text) + (part if bare else json.dumps(part, ensure_ascii=False))
    return text


def within(place: Place, outer: Place) -> bool:
    """`place` is `outer` or below it."""
    return place[: len(outer)] == outer


def line_of(place: Place, lines: Mapping[Place, int]) -> int:
    """Where it stands; what is missing stands where its table begins; 1 for the file as a whole."""
    for length in range(len(place), 0, -1):
        if line := lines.get(place[:length]):
            return line
    return 1


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, or nothing."""
    found = difflib.get_close_matches(name.lower(), {word.lower(): word for word in known}, n=1)
    return next((word for word in known if found and word.lower() == found[0]), "")


def unknown(place: Place, kind: str, name: str, known: Collection[str], prefix: str = "") -> Problem:
    """There is nothing of this name; `prefix` stands before such names where they are used."""
    meant = nearest(name, known)
    allowed = "" if meant else ", ".join(prefix + other for other in sorted(known))
    return Problem(place, f"there is no {kind} {name}", allowed, prefix + meant if meant else "")


def select(document: Any, pattern: str) -> Iterator[tuple[Place, Any]]:
    """All places that a dotted pattern names, with their values; `*` is any name."""
    found: list[tuple[Place, Any]] = [((), document)]
    for name in pattern.split("."):
        found = [
            ((*place, key), value)
            for place, table in found
            if isinstance(table, dict)
            for key, value in table.items()
            if name in {"*", key}
        ]
    yield from found


def remove(document: Any, place: Place) -> Place:
    """Takes out what stands at `place`, or the table that misses it, or the array it is in. Returns what was taken."""
    holders = [document]
    for part in place:
        holder = holders[-1]
        present = part in holder if isinstance(holder, dict) else isinstance(part, int) and isinstance(holder, list)
        if not present:
            break
        holders.append(holder[part])
    depth = len(holders) - 1
    while depth > 1 and isinstance(holders[depth - 1], list):
        depth -= 1
    if depth:
        holders[depth - 1].pop(place[depth - 1], None)
    return place[:depth]
