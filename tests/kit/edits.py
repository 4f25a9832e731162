"""How a policy file gets another text: as people, editors, and Kubernetes do it.

A way is awaited with the file's path and the new text; when it returns, the text is there.
"""
# ruff: noqa: ASYNC240  the files are small and local, and the loop has nothing to do meanwhile

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    Way = Callable[[Path, str], Awaitable[None]]

PAUSE = 0.15
"""Seconds between two pieces of a file that is written slowly: long enough for each to be looked at."""

_names = itertools.count(1)


async def in_place(file: Path, text: str) -> None:
    """`cp new sidecar.toml`, and editors that keep the inode."""
    file.write_text(text)


async def moved_over(file: Path, text: str) -> None:
    """`mv sidecar.toml.new sidecar.toml`, and editors that replace the file."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    beside.replace(file)


async def moved_in(file: Path, text: str) -> None:
    """`mv /elsewhere/sidecar.toml .`: only the rename happens in the watched folder."""
    folder = file.parent.with_name(f"{file.parent.name}-elsewhere")
    folder.mkdir(exist_ok=True)
    try:
        (folder / "new").write_text(text)
        (folder / "new").replace(file)
    finally:
        shutil.rmtree(folder)


async def with_a_backup(file: Path, text: str) -> None:
    """As vim does it: the old one is renamed, the new one written under the name, the old one deleted."""
    backup = file.with_name(f"{file.name}~")
    file.rename(backup)
    file.write_text(text)
    backup.unlink()


async def by_sed(file: Path, text: str) -> None:
    """`sed -i`, which writes another file and renames it."""
    source = file.with_name("new")
    source.write_text(text)
    process = await asyncio.create_subprocess_exec("sed", "-i", "-e", f"1r {source}", "-e", "d", str(file))
    assert await process.wait() == 0
    source.unlink()


async def in_pieces(file: Path, text: str) -> None:
    """Truncated, then written slowly, in pieces that end in the middle of a line."""
    with file.open("w") as writing:
        for piece in pieces(text, 3):
            writing.write(piece)
            writing.flush()
            await asyncio.sleep(PAUSE)


def pieces(text: str, count: int) -> Iterator[str]:
    size = len(text) // count + 1
    return (text[at : at + size] for at in range(0, len(text), size))


async def deleted_first(file: Path, text: str) -> None:
    """`rm sidecar.toml`, and a while later there is another one."""
    file.unlink()
    await asyncio.sleep(PAUSE)
    file.write_text(text)


async def in_a_config_map(file: Path, text: str) -> None:
    """As the kubelet does it: the file is a link into `..data`, which is a link to a folder that is never changed.

    A file that is no such link becomes one, at one stroke.
    """
    mount, data = file.parent, file.parent / "..data"
    before = data.readlink() if data.is_symlink() else None
    fresh = mount / f"..2026_11_21_{next(_names)}"
    fresh.mkdir()
    (fresh / file.name).write_text(text)
    _link(data, fresh.name)
    if before is not None:
        shutil.rmtree(mount / before)
    _link(file, f"..data/{file.name}")


async def behind_a_link(file: Path, text: str) -> None:
    """The file is a link to one in another folder, which is written in place."""
    other = file.parent / "elsewhere" / "policy.toml"
    other.parent.mkdir(exist_ok=True)
    other.write_text(text)
    _link(file, str(other))


async def moved_behind_a_link(file: Path, text: str) -> None:
    """The same, and what the link leads to is replaced."""
    other = file.parent / "elsewhere" / "policy.toml"
    other.parent.mkdir(exist_ok=True)
    await moved_over(other, text)
    _link(file, str(other))


def _link(path: Path, to: str) -> None:
    """Make it a link at one stroke, unless it is that one already."""
    if path.is_symlink() and str(path.readlink()) == to:
        return
    beside = path.with_name("..tmp")
    os.symlink(to, beside)  # noqa: PTH211 - it may be relative to nowhere yet
    beside.replace(path)
