"""A place at a target that outlives the attempt: its connection does, and the target takes so many and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.stage import slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Attempt, Call, Reply, Upstream
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


class Keeping:
    """Keeps the slot of every attempt on another upstream."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.releases: list[Callable[[], None]] = []

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        self.releases.append(attempt.keep_slot())
        return await self._upstream.send(call, attempt)

    async def aclose(self) -> None:
        await self._upstream.aclose()


async def test_a_slot_is_kept_beyond_the_call_until_the_upstream_gives_it_back(stage: Stage) -> None:
    room = slots(1)
    target = stage.target("a", concurrency=room)
    target.service.upstream = keeping = Keeping(target.service.upstream)
    stage.route(target)
    assert (await stage.call()).status == 200
    assert room.inflight == 1
    assert (await stage.call()).label == "overloaded"
    keeping.releases.pop()()
    assert room.inflight == 0
    assert (await stage.call()).status == 200
    keeping.releases.pop()()


async def test_the_next_attempt_queues_for_the_slot_that_the_last_one_keeps(stage: Stage) -> None:
    room = slots(1, queue=1, max_wait=9)
    target = stage.target("a", "reset", "ok", concurrency=room)
    target.service.upstream = keeping = Keeping(target.service.upstream)
    stage.route(target)
    calling = stage.calling()
    await stage.until(3)
    keeping.releases.pop()()
    assert (await calling).status == 200
    assert stage.transcript.of(" > ") == ["0 > a", "3 > a"]
    keeping.releases.pop()()
    assert (room.inflight, room.waiting) == (0, 0)


async def test_an_attempt_without_a_slot_has_none_to_keep(stage: Stage) -> None:
    target = stage.target("a")
    target.service.upstream = keeping = Keeping(target.service.upstream)
    stage.route(target)
    assert (await stage.call()).status == 200
    keeping.releases.pop()()
