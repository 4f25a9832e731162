"""What commands print: columns for people, coloured on a terminal and plain elsewhere, or JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STYLES = {
    "ok": "green", "healthy": "green", "closed": "green", "ready": "green", "yes": "green",
    "degraded": "yellow", "half_open": "yellow",
    "unhealthy": "bold red", "open": "bold red", "no": "red",
}  # fmt: skip
"""Words that have a colour of their own wherever they stand alone in a column."""


def on_terminal() -> bool:
    """Somebody looks: colours and live lines make sense."""
    return sys.stdout.isatty()


def print_json(document: object) -> None:
    """For programs; `jq` and people read it alike."""
    print(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]], styles: Mapping[str, str] = STYLES) -> None:
    """Columns under their names. Nothing is cut off, so that another program can read them as well."""
    text = [[_text(cell) for cell in row] for row in rows]
    if not on_terminal():
        for line in aligned([list(head), *text]):
            print(line)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in text:
        table.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)


def print_line(text: str, style: str = "") -> None:
    """One line; `style` is rich's, and counts on a terminal only."""
    if not (style and on_terminal()):
        print(text)
        return
    from rich.console import Console

    Console(highlight=False).print(text, style=style, markup=False)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Each column as wide as its widest cell, two blanks between; the last one is not filled up."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return str(cell)
