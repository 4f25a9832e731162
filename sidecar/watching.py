"""Sees that the policy file, or a file that it names, has changed.

The system tells of most changes; folders are watched and not files, since editors
and ConfigMaps put another file in a file's place. Some tell nobody (bind mounts,
network drives, a folder that takes the place of another), so the files are also
looked at twice a second. What counts is what they hold: a file that was only touched,
or a link that leads to the same text, is no change. Text that is still being written
is left alone until it stays the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import awatch

from sidecar.config.files import digest, read

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping

log = logging.getLogger("sidecar")

POLL = 0.5
"""Seconds after which the files are looked at though nobody told of a change. It costs 0.1 % of a core."""

STILL = 0.1
"""Seconds in which nothing more may come for a text to count as written …"""

UNFINISHED = 0.5
"""… and those for one that does not end its last line, as a file that is written in pieces looks in between."""

RESTLESS = 10.0
"""Seconds after which a file that never stays the same is taken as it is."""

AGAIN = 30.0
"""Seconds after which a text that was refused is tried again: what was wrong may not have been in it."""

_STEP = 50
"""Milliseconds between two looks of the watching thread at whether it is to end."""

Seen = dict[str, str]
"""Path to digest."""


class Watching:
    """Watches until it is cancelled. `files` are the paths that count now, the policy file first.

    `changed` is awaited for each change, with what was seen; True: it is in use. `seen`
    is what the present configuration was made of.
    """

    def __init__(
        self,
        files: Callable[[], Iterable[str]],
        changed: Callable[[Seen], Awaitable[bool]],
        seen: Mapping[str, str],
    ) -> None:
        self._files = files
        self._changed = changed
        self._seen = dict(seen)
        self._refused_at: float | None = None

    def took(self, seen: Mapping[str, str], *, refused: bool = False) -> None:
        """The files were read, and this is what they held then; `refused`: it is not in use."""
        self._seen = dict(seen)
        self._refused_at = asyncio.get_running_loop().time() if refused else None

    async def run(self) -> None:
        """Never returns."""
        # It would log each change of each file in the folder.
        logging.getLogger("watchfiles").setLevel(logging.WARNING)
        while True:
            try:
                await self._watch(_folders(self._files()))
            except Exception:  # whatever it was, later changes are still to be seen
                log.exception("watching the policy file failed, and begins again")
                await asyncio.sleep(POLL)

    async def _watch(self, folders: frozenset[Path]) -> None:
        """Until there are other folders to watch."""
        async with aclosing(_ticks(folders)) as ticks:
            async for _ in ticks:
                await self._look()
                if _folders(self._files()) != folders:
                    return

    async def _look(self) -> None:
        now = await self._seen_now()
        if now == self._seen and not self._again():
            return
        if now != self._seen:
            now = await self._settled(now)
            if now == self._seen:  # written back, or the same text in another file
                return
        self._seen = now
        taken = await self._changed(now)
        self._refused_at = None if taken else asyncio.get_running_loop().time()

    def _again(self) -> bool:
        return self._refused_at is not None and asyncio.get_running_loop().time() - self._refused_at >= AGAIN

    async def _seen_now(self) -> Seen:
        """A drive may be slow: the loop does not wait for it."""
        return await asyncio.to_thread(look, list(self._files()))

    async def _settled(self, now: Seen) -> Seen:
        """What the files hold once it stays the same."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + RESTLESS
        while loop.time() < ends:
            policy = next(iter(self._files()))
            pause = STILL if await asyncio.to_thread(_looks_whole, Path(policy)) else UNFINISHED
            await asyncio.sleep(pause)
            later = await self._seen_now()
            if later == now:
                return now
            now = later
        return now


def look(files: Iterable[str]) -> Seen:
    """What these files hold now."""
    return {path: digest(Path(path)) for path in files}


def _looks_whole(path: Path) -> bool:
    try:
        return read(path).endswith(b"\n")
    except OSError:
        return False


def _folders(files: Iterable[str]) -> frozenset[Path]:
    """Where changes of these files are seen: their folders, and those that links lead to."""
    folders: set[Path] = set()
    for name in files:
        path = Path(name)
        real = Path(os.path.realpath(path))  # `Path.resolve` raises for a link that leads to itself
        for folder in (path.absolute().parent, real.parent):
            with suppress(OSError):  # it may not even be looked for there, or the name is too long
                if folder.is_dir():
                    folders.add(folder)
    return frozenset(folders)


async def _ticks(folders: frozenset[Path]) -> AsyncGenerator[None, None]:
    """Now, after each change in these folders, and every `POLL` seconds."""
    yield
    try:
        changes = awatch(
            *folders,
            watch_filter=None,
            step=_STEP,
            rust_timeout=int(POLL * 1000),
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        )
        async with aclosing(changes):
            async for _ in changes:
                yield
    except (OSError, RuntimeError) as error:
        # No watch is left, or no watcher (inotify's limits; watchfiles tells of the second by an error of its own,
        # which is a RuntimeError), or the folder has gone meanwhile.
        log.warning("changes of files are not told, they are looked for every %g s: %s", POLL, error)
    while True:
        await asyncio.sleep(POLL)
        yield
