"""Durations, sizes and other values as one writes them in the policy file: TOML, in the unit that reads best."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = ((3600, "h"), (60, "m"))
_SIZES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def duration(seconds: float) -> str:
    """`5m`, `90s`, `1.5s`, `250ms`: exact to the millisecond. A single minute or hour stays in the smaller unit."""
    if 0 < seconds < 1:
        return f"{round(seconds * 1000, 3):g}ms"
    for many, unit in _UNITS:
        if seconds >= 2 * many and seconds % many == 0:
            return f"{seconds / many:.0f}{unit}"
    return f"{round(seconds, 3):.15g}s"


def size(count: int) -> str | int:
    """`32KiB`; a number of bytes where no unit divides it."""
    return next((f"{count // many}{unit}" for many, unit in _SIZES if count and count % many == 0), count)


def toml(value: Any) -> str:
    """A value, an array or an inline table."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {toml(each)}' for key, each in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False)


def by_protocol(values: Mapping[str, Any]) -> str:
    """`c-gateway, router: "60s"; grpc: "0s"`: protocols that share a value are named together."""
    same: dict[str, list[str]] = {}
    for protocol, value in values.items():
        same.setdefault(toml(value), []).append(protocol)
    return "; ".join(f"{', '.join(protocols)}: `{value}`" for value, protocols in same.items())
