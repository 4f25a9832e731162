"""What differs between two configurations, in lines for people and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidecar.config.difference import Change
    from sidecar.config.places import Place

STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
MOST = 8
"""Names of a kind in one line; JSON has them all."""

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_ABREAST = 80
"""Characters of two values that still stand in the line of their key."""
_LONGEST = 200
"""Characters of a table; of a longer one the line in the file says more."""


def change_lines(changes: Iterable[Change], before: str, after: str) -> Iterator[tuple[str, str]]:
    """Lines and their styles; `before` and `after` are what the files are called."""
    for change in changes:
        key = change.key + (f" ({', '.join(change.targets)})" if change.targets else "")
        values = _values(change)
        inline = values[0] if len(values) == 1 else ""
        parts = [f"{_SIGNS[change.kind]} {key}", inline, _lines(change, before, after)]
        yield "  ".join(filter(None, parts)), STYLES[change.kind]
        if not inline:
            yield from ((f"    - {values[0]}", STYLES["removed"]), (f"    + {values[1]}", STYLES["added"]))
        if change.reaches:
            yield f"    so for {_reached(change.reaches)}", ""


def change_document(change: Change) -> dict[str, Any]:
    """One change for programs, values in seconds and bytes. Lines that a file does not have are null."""
    from sidecar.config.places import dotted
    from sidecar.config.sources import unit_at

    return {
        "key": change.key,
        "kind": change.kind,
        "before": change.before,
        "after": change.after,
        **({"unit": unit} if (unit := unit_at(change.place)) else {}),
        "line_before": change.line_before or None,
        "line_after": change.line_after or None,
        "targets": list(change.targets),
        "reaches": [dotted(place) for place in change.reaches],
    }


def listed(names: Iterable[str]) -> str:
    """The names, of many the first ones."""
    every = list(names)
    more = len(every) - MOST
    return ", ".join(every) if more < 2 else f"{', '.join(every[:MOST])} and {more} more"


def value_text(value: Any, place: Place) -> str:
    """As one would write it in the file, but for what only says that a thing is on, off or unset."""
    if value is None:
        return "unset"
    if value is False:
        return "off"
    if value == {}:
        return "on"
    text = _with_unit(value, place) or _toml(value, place)
    return text if len(text) <= _LONGEST or not isinstance(value, dict) else "{ … }"


def _toml(value: Any, place: Place) -> str:
    from sidecar.config.view import HIDDEN

    if isinstance(value, dict):
        said = {key: item for key, item in value.items() if item is not None}
        if place and isinstance(place[-1], int):  # one of an array: what is off in it need not be said
            said = {key: item for key, item in said.items() if item is not False}
        if said.keys() == {"upstream", "model"}:
            return json.dumps(f"{said['upstream']}/{said['model']}", ensure_ascii=False)
        return f"{{ {', '.join(f'{key} = {_toml(item, (*place, key))}' for key, item in said.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item, (*place, index)) for index, item in enumerate(value))}]"
    if value == HIDDEN:
        return HIDDEN
    if isinstance(value, float) and not _with_unit(value, place):
        return f"{value:g}"
    return json.dumps(_with_unit(value, place) or value, ensure_ascii=False)


def _with_unit(value: Any, place: Place) -> str:
    """`5s`, `1MiB`; nothing for what has no unit."""
    from sidecar.config.sources import unit_at
    from sidecar.settings.written import duration, size

    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    unit = unit_at(place)
    return duration(value) if unit == "s" else str(size(int(value))) if unit == "bytes" else ""


def _values(change: Change) -> list[str]:
    """In one text; two that are long in one each."""
    before, after = value_text(change.before, change.place), value_text(change.after, change.place)
    if change.kind == "added":
        return [after]
    if change.kind == "removed":
        return [before]
    if before == after:
        return [f"{before}, another one"]
    return [f"{before} → {after}"] if len(before + after) <= _ABREAST else [before, after]


def _lines(change: Change, before: str, after: str) -> str:
    places = ((before, change.line_before), (after, change.line_after))
    said = ", ".join(f"{name}:{line}" for name, line in places if name and line)
    return f"({said})" if said else ""


def _reached(places: Iterable[Place]) -> str:
    """`routes r, s; upstreams a`: which ones, not which of their keys."""
    sections: dict[str, dict[str, None]] = {}
    for section, name, *_ in places:
        sections.setdefault(str(section), {})[str(name)] = None
    return "; ".join(f"{section} {listed(names)}" for section, names in sections.items())
