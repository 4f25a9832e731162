"""`sidecar diff OLD NEW`: what differs between two policy files, and what a reload would do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli.changes import change_document, change_lines
from sidecar.cli.mistakes import read, tell
from sidecar.cli.output import print_json, print_line
from sidecar.cli.turnover import begun_anew, by_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.config import Loaded
    from sidecar.config.difference import Change
    from sidecar.rehearsal import Rehearsal


def diff(old: str, new: str, *, as_json: bool) -> int:
    """Exit code 0 when both files are right, whether or not they differ; 2 with all mistakes when one is not."""
    import asyncio

    from sidecar.config.difference import difference
    from sidecar.errors import ConfigError
    from sidecar.rehearsal import rehearse

    (before, wrong_before), (after, wrong_after) = read(Path(old)), read(Path(new))
    if before is None or after is None:
        return tell([*wrong_before, *wrong_after], {}, as_json=as_json)
    try:
        rehearsal = asyncio.run(rehearse(before, after, os.environ))
    except ConfigError as error:
        return tell(error.mistakes, {}, as_json=as_json)
    changes = difference(before, after)
    if as_json:
        print_json(_document(before, after, changes, rehearsal))
        return 0
    for line, style in _lines(before, after, changes, rehearsal):
        print_line(line, style)
    return 0


def _lines(before: Loaded, after: Loaded, changes: list[Change], rehearsal: Rehearsal) -> Iterator[tuple[str, str]]:
    if not changes:
        same = "the same text" if before.hash == after.hash else "another text that means the same"
        yield f"No difference: {same}.", "green"
    yield from change_lines(changes, str(before.path), str(after.path))
    yield from (("", ""), ("A reload", "bold"))
    parts, moves = rehearsal.parts, [*_moves(rehearsal)]
    if not (parts.made or parts.reset or parts.dropped or moves or rehearsal.moves.next_start):
        yield "  keeps   everything: no state begins anew, no connection is closed", ""
        return
    for text in begun_anew(parts.reset):
        yield f"  resets  {text}", "yellow"
    for word, named, style in (("makes", parts.made, "green"), ("drops", parts.dropped, "red")):
        for text in by_kind(named):
            yield f"  {word}   {text}", style
    for text in by_kind(parts.kept):
        yield f"  keeps   {text}", ""
    for text in moves:
        yield f"  {text}", "yellow"
    if rehearsal.moves.next_start:
        yield f"  leaves  {', '.join(rehearsal.moves.next_start)} to the next start", "yellow"


def _moves(rehearsal: Rehearsal) -> Iterator[str]:
    for name, before, after in rehearsal.moves.now:
        if not before:
            yield f"opens   {name} on {after}"
        elif not after:
            yield f"closes  {name} on {before}"
        else:
            yield f"moves   {name} from {before} to {after}; the new one opens first"


def _document(before: Loaded, after: Loaded, changes: list[Change], rehearsal: Rehearsal) -> dict[str, Any]:
    parts = rehearsal.parts
    return {
        "ok": True,
        "old": {"file": str(before.path), "hash": before.hash},
        "new": {"file": str(after.path), "hash": after.hash},
        "changes": [change_document(change) for change in changes],
        "reload": {
            **{word: [{"kind": kind, "name": name} for kind, name in named] for word, named in parts._asdict().items()},
            "moved": [moved._asdict() for moved in rehearsal.moves.now],
            "next_start": list(rehearsal.moves.next_start),
        },
    }
