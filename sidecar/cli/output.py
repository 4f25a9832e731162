"""What commands print: columns for people, coloured on a terminal and plain elsewhere, or JSON.

Names come from the policy file and from callers. A terminal obeys control characters,
so nothing is printed that could be one: its escape is shown instead.
"""

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
"""Words that have a colour of their own wherever they stand in a column, alone or before a comma."""


def on_terminal() -> bool:
    """Somebody looks: colours and live lines make sense. (There is no stdout at all after `>&-`.)"""
    return sys.stdout is not None and sys.stdout.isatty()


def harmless(text: str) -> str:
    """The text with every character escaped that a terminal would obey instead of show, line breaks included."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def print_json(document: object) -> None:
    """For programs; `jq` and people read it alike. What the stream cannot write, or a terminal obeys, is escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=not _writes_all(), default=str)
    if not text.replace("\n", "").isprintable():
        text = "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)
    print(text)


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]], styles: Mapping[str, str] = STYLES) -> None:
    """Columns under their names, a line for each row: nothing is cut off or folded, however narrow the terminal is."""
    text = [[_text(cell) for cell in row] for row in rows]
    lines = aligned([list(head), *text])
    if not on_terminal():
        print("\n".join(lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(lines[0], style="bold", markup=False, emoji=False, soft_wrap=True)
    for row, line in zip(text, lines[1:], strict=True):
        coloured, at = Text(line), 0
        for cell in map(str.rstrip, row):  # as the line is
            at = line.index(cell, at)
            coloured.stylize(styles.get(cell.partition(",")[0], ""), at, at + len(cell))
            at += len(cell)
        console.print(coloured, soft_wrap=True)


def print_line(text: str = "", style: str = "") -> None:
    """One line; `style` is rich's, and counts on a terminal only."""
    text = harmless(text)
    if not (style and on_terminal()):
        print(text)
        return
    from rich.console import Console

    Console(highlight=False).print(text, style=style, markup=False, emoji=False, soft_wrap=True)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Each column as wide as its widest cell, two blanks between; the last one is not filled up."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def shortened(digest: str) -> str:
    """The beginning of a hash, enough to know it again."""
    return digest[:12]


def lasting(seconds: float) -> str:
    """A length of time as people say it: `0.4 ms`, `12.5 s`, `3 min`, `2 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return harmless(str(cell))


def _writes_all() -> bool:
    return sys.stdout is not None and (sys.stdout.encoding or "").lower().startswith("utf")
