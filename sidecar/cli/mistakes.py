"""Policy files as commands read them: right, or all their mistakes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli.output import print_json, print_line
from sidecar.cli.trouble import BAD_USAGE, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sidecar.config import Loaded
    from sidecar.errors import Mistake


def read(path: Path) -> tuple[Loaded | None, Sequence[Mistake]]:
    """The file, or what is wrong with it."""
    from sidecar.config import load
    from sidecar.errors import ConfigError

    try:
        return load(path, os.environ), ()
    except ConfigError as error:
        return None, error.mistakes


def policy(path: str | None, *, as_json: bool) -> Loaded | None:
    """The policy file as `sidecar run` finds it, at `path` or else where one is looked for.

    None when it has mistakes: they are printed, and the exit code is 2. Raises `Trouble` when there is none at all.
    """
    from sidecar.errors import ConfigError

    try:
        file = _found(path)
    except ConfigError as error:
        tell(error.mistakes, {"file": path}, as_json=as_json)
        return None
    loaded, mistakes = read(file)
    if loaded is None:
        tell(mistakes, {"file": str(file)}, as_json=as_json)
    return loaded


def tell(mistakes: Sequence[Mistake], document: dict[str, Any], *, as_json: bool) -> int:
    """Print them all, as JSON in `document`; the exit code."""
    if as_json:
        print_json({**document, "ok": False, "mistakes": documents(mistakes)})
        return BAD_USAGE
    for mistake in mistakes:
        print_line(str(mistake), "red")
    print(f"{len(mistakes)} mistake{'s' * (len(mistakes) != 1)}", file=sys.stderr)
    return BAD_USAGE


def documents(mistakes: Iterable[Mistake]) -> list[dict[str, Any]]:
    """Mistakes for programs."""
    return [
        {
            "file": mistake.file,
            "line": mistake.line,
            "key": mistake.key,
            "problem": mistake.problem,
            "allowed": mistake.allowed,
            "nearest": mistake.nearest,
        }
        for mistake in mistakes
    ]


def _found(path: str | None) -> Path:
    """Raises `ConfigError` for a file that cannot be trusted, `Trouble` for none."""
    from sidecar.config import find
    from sidecar.config.load import FILE, VARIABLE

    file = find(path, os.environ, Path.cwd())
    if file is None:
        text = f"there is no policy file: name one, set ${VARIABLE}, or stand in a folder with {FILE}"
        raise Trouble(text, BAD_USAGE)
    return file
