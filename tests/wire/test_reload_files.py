"""Reloads because the policy file has another text, however it came there: nothing is lost or left."""

from __future__ import annotations

import asyncio
import os
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from sidecar import watching
from sidecar.watching import look
from tests.kit import edits
from tests.kit.caller import PATIENCE
from tests.kit.reload_stage import Policy, reload_stage
from tests.kit.reloading import by_post, nothing_left, nothing_lost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.kit.reload_stage import Stage
    from tests.kit.reloading import Way
    from tests.kit.running import Log

QUICK = [edits.in_place, edits.moved_over, edits.moved_in, edits.with_a_backup, edits.by_sed]
SLOW = [edits.in_pieces, edits.deleted_first]
LINKED = [edits.in_a_config_map, edits.behind_a_link, edits.moved_behind_a_link]


def by(*ways: edits.Way) -> Way:
    """A reload by each of these ways in turn."""
    turns = cycle(ways)

    async def way(stage: Stage, policy: Policy) -> int:
        await next(turns)(stage.sidecar.file, policy.text)
        return await stage.live(policy)

    return way


class Looks:
    """Tells when the files have been looked at: of what is no change, nothing else does."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._count = 0

    def look(self, files: Iterable[str]) -> Mapping[str, str]:
        """In a thread."""
        seen = look(files)
        self._loop.call_soon_threadsafe(self._looked)
        return seen

    def _looked(self) -> None:
        self._count += 1
        self._came.set()

    async def more(self, times: int) -> None:
        """Until they have been looked at so many times more; the first may have begun before."""
        wanted = self._count + times
        async with asyncio.timeout(PATIENCE):
            while self._count < wanted:
                self._came.clear()
                await self._came.wait()


@pytest.fixture
async def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """The files are looked at all the time."""
    counted = Looks()
    monkeypatch.setattr(watching, "POLL", 0.02)
    monkeypatch.setattr(watching, "look", counted.look)
    return counted


async def test_fifty_by_every_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STILL", 0.01)
    monkeypatch.setattr(watching, "_STEP", 10)
    async with reload_stage(watched=True) as stage:
        await nothing_left(stage, by(*QUICK), 50)


@pytest.mark.parametrize("way", [*QUICK, *SLOW, *LINKED], ids=lambda way: way.__name__)
async def test_a_few_in_a_row(way: edits.Way) -> None:
    async with reload_stage(watched=True) as stage:
        await nothing_lost(stage, by(way), stage.policies(2))


async def test_a_text_that_is_asked_for_is_not_taken_again_when_it_is_seen() -> None:
    async with reload_stage(watched=True) as stage:
        await nothing_lost(stage, by(edits.in_place), stage.policies(1))
        await nothing_lost(stage, by_post, stage.policies(20))
        await nothing_lost(stage, by(edits.in_place), stage.policies(1))


@pytest.mark.parametrize(
    "way", [*QUICK, edits.in_a_config_map, edits.behind_a_link, edits.moved_behind_a_link], ids=lambda way: way.__name__
)
async def test_the_same_text_again_is_no_reload(way: edits.Way, looks: Looks) -> None:
    async with reload_stage(watched=True) as stage:
        file = stage.sidecar.file
        text = file.read_text()
        for _ in range(3):
            await way(file, text)
            os.utime(file)
            await looks.more(2)
        await nothing_lost(stage, by(way), stage.policies(1))
        assert _taken(stage.sidecar.log) == [2]


async def test_a_text_that_names_other_files_is_taken_once(looks: Looks, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    async with reload_stage(watched=True) as stage:
        plain = stage.policy()
        named = plain.text.replace('X-Policy = "first"', f'X-Policy = "first", X-Key = {{ file = "{secret}" }}')
        file = stage.sidecar.file

        async def generations(*, count: int) -> list[int]:
            """Of all texts that were taken, once there are so many and the files have been looked at again."""
            log = stage.sidecar.log
            await log.line(lambda _: len(_taken(log)) >= count)
            await looks.more(3)
            return _taken(log)

        secret.write_text("x")
        file.write_text(named)
        assert await generations(count=1) == [2]
        file.write_text(plain.text)
        assert await generations(count=2) == [2, 3]
        secret.unlink()
        file.write_text(named)
        await stage.told("was not taken", since=0)
        file.write_text(plain.text)
        assert await generations(count=3) == [2, 3, 4]


def _taken(log: Log) -> list[int]:
    return [line["generation"] for line in log.lines if "was taken" in line["message"]]


async def test_a_text_that_comes_line_by_line_is_taken_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line's end is also the end of a policy that would do, with fewer routes."""
    monkeypatch.setattr(watching, "STILL", 1.0)
    monkeypatch.setattr(edits, "PAUSE", 0.02)
    async with reload_stage(watched=True) as stage:
        policy = stage.policy()
        more = "".join(f'[static.s{n}]\nbody = "x"\n' for n in range(10))
        policy = Policy("longer", policy.text + more)
        file = stage.sidecar.file

        async def way(stage: Stage, policy: Policy) -> int:
            with file.open("w") as writing:
                for part in (policy.text.removesuffix(more), *more.splitlines(keepends=True)):
                    writing.write(part)
                    writing.flush()
                    await asyncio.sleep(edits.PAUSE)
            return await stage.live(policy)

        await nothing_lost(stage, way, [policy])
