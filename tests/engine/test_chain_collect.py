"""A target that wants the whole body has it before it takes a place that others wait for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.engine.test_attempt_bodies import coming
from tests.kit.stage import slots

if TYPE_CHECKING:
    from sidecar.engine.route import Target
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


def collecting(target: Target, most: int = 100) -> Target:
    target.collects = most
    return target


async def test_a_caller_that_is_slow_with_its_body_keeps_nobody_waiting(stage: Stage) -> None:
    stage.route(collecting(stage.target("a", concurrency=slots(1))))
    slow = asyncio.create_task(stage.call(b"PUT", body=coming(b"one ", b"two", every=100)))
    await asyncio.sleep(50)
    assert (await stage.call(b"PUT", body=b"whole")).body == b"a says 200"
    assert stage.now == 50.0
    assert (await slow).body == b"a says 200"
    assert stage.upstreams["a"].bodies == [b"whole", b"one two"]


async def test_the_deadline_runs_from_when_it_is_here(stage: Stage) -> None:
    stage.route(collecting(stage.target("a", "hang", tries=1)), deadline=20)
    answer = await stage.call(b"PUT", body=coming(b"one", b"two", every=100))
    assert answer.label == "deadline_exceeded"
    assert stage.now == 320.0


async def test_the_callers_own_deadline_does_not_wait_for_it(stage: Stage) -> None:
    stage.route(collecting(stage.target("a")), deadline=20)
    body = coming(b"one", b"two", every=100)
    answer = await stage.call(b"PUT", body=body, caller_deadline=stage.clock() + 50)
    assert answer.label == "deadline_exceeded"
    assert stage.now == 50.0
    assert stage.transcript.of(" > ") == []


async def test_a_longer_body_goes_on_as_it_comes(stage: Stage) -> None:
    stage.route(collecting(stage.target("a"), most=5))
    assert (await stage.call(b"PUT", body=coming(b"one ", b"two ", b"three"))).body == b"a says 200"
    assert stage.upstreams["a"].bodies == [b"one two three"]


async def test_a_caller_that_leaves_meanwhile_is_gone(stage: Stage) -> None:
    stage.route(collecting(stage.target("a")))
    call = asyncio.create_task(stage.call(b"PUT", body=coming(b"one", every=100)))
    await asyncio.sleep(10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert stage.transcript.of(" > ") == []
