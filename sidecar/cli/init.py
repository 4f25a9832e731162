"""`sidecar init [FILE]`: a starter policy file, written whole or not at all.

A name is taken first, by creating an empty file that must not exist yet; then the text is written beside it and
renamed over it. So nobody's file is lost, and nobody ever reads half of ours.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from importlib import resources
from pathlib import Path

from sidecar.cli.trouble import BAD_USAGE, Trouble

FILE = "sidecar.toml"
STDOUT = "-"

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_MODE = 0o644  # less the umask; `sidecar run` takes no ./sidecar.toml that others may write


def starter() -> str:
    """The file's text."""
    return resources.files("sidecar.cli").joinpath("starter.toml").read_text("utf-8")


def init(file: str | None, *, force: bool) -> int:
    """Writes the starter file and prints what to do next; to stdout for `-`. Raises `Trouble` (2)."""
    if file == STDOUT:
        sys.stdout.write(starter())
        return 0
    path = Path(file or FILE)
    try:
        _write(path, starter(), force=force)
    except FileExistsError:
        raise Trouble(f"{path} exists; --force writes over it", BAD_USAGE) from None
    except FileNotFoundError:
        raise Trouble(f"there is no folder {path.parent}", BAD_USAGE) from None
    except OSError as error:
        raise Trouble(f"cannot write {path}: {error.strerror}", BAD_USAGE) from None
    for line in _next(path):
        print(line)
    return 0


def _write(path: Path, text: str, *, force: bool) -> None:
    if path.is_dir():
        raise Trouble(f"{path} is a folder; name a file in it", BAD_USAGE)
    if force:
        path = Path(os.path.realpath(path))  # what a link leads to is written over, not the link
        if path.exists() and not path.is_file():
            raise Trouble(f"{path} is no regular file", BAD_USAGE)
        _replace(path, text)
        return
    os.close(os.open(path, _NEW, _MODE))
    try:
        _replace(path, text)
    except BaseException:
        path.unlink()
        raise


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, _NEW, _MODE), "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        raise


def _next(path: Path) -> list[str]:
    named = shlex.quote(str(path))
    found = str(path) == FILE
    return [
        f"Wrote {path}. Next:",
        f"  sidecar check{'' if found else f' {named}'}",
        f"  sidecar run{'' if found else f' -c {named}'}",
        "  curl -i http://127.0.0.1:7070/",
    ]
