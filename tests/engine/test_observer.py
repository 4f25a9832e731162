"""What telemetry hears: the order of a call's lines, its timeline, and where its time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.engine.observer import RouteObserver, TargetObserver
from tests.kit.fakes import FakeRouteObserver, FakeTargetObserver, Transcript
from tests.kit.stage import limit, slots

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


async def test_the_fakes_have_the_face_of_an_observer() -> None:
    target: TargetObserver = FakeTargetObserver("a", Transcript())
    route: RouteObserver = FakeRouteObserver("r", Transcript())
    for face, fake in ((TargetObserver, target), (RouteObserver, route)):
        assert [name for name in vars(face) if not name.startswith("_") and not hasattr(fake, name)] == []


async def test_the_timeline_of_a_call_that_tried_everything(stage: Stage) -> None:
    resting = stage.target("a")
    resting.rest.rest(stage.clock() + 99, "throttled")
    stage.route(
        resting,
        stage.target("b", "503 after=2s", concurrency=slots(1), tries=2),
        stage.target("c", "ok after=4s stream=x,y every=1s"),
    )
    await stage.call()
    told = [(step.kind, step.target, step.outcome, step.at, step.seconds, step.status) for step in stage.summary.steps]
    assert told == [
        ("skip", "a", "rate_limited", 0.0, 0.0, 0),
        ("attempt", "b", "server_error", 0.0, 2.0, 503),
        ("wait", "b", "", 2.0, 1.0, 0),
        ("attempt", "b", "server_error", 3.0, 2.0, 503),
        ("attempt", "c", "ok", 5.0, 6.0, 200),
    ]
    assert [step.why for step in stage.summary.steps] == ["a rests (throttled)", "", "server_error", "", ""]


async def test_where_the_time_went(stage: Stage) -> None:
    stage.route(
        stage.target("a", "503 after=2s", "ok after=3s stream=x,y every=1s"),
        limit=limit(per_minute=6, burst=1, max_wait=60),
    )
    await stage.call()
    stage.upstreams["a"].script = ["503 after=2s", "ok after=3s stream=x,y every=1s"]
    await stage.call()
    summary = stage.summary
    assert summary.outcome == "ok"
    assert summary.waited == pytest.approx(2 + 1), "2 s for the limit, 1 s of backoff"
    assert summary.upstream_seconds == pytest.approx(2 + 5)
    assert summary.ttfb == pytest.approx(2 + 2 + 1 + 3)
    assert summary.seconds == pytest.approx(10)


async def test_an_attempt_lasts_until_its_reply_has_ended(stage: Stage) -> None:
    target = stage.target("a", "ok after=3s stream=x,y every=1s", "hang")
    stage.route(target, deadline=9)
    await stage.call()
    await stage.call()
    assert isinstance(target.observer, FakeTargetObserver)
    assert target.observer.times == [(5.0, 3.0), (9.0, 0.0)], "seconds, and time to evidence where a reply came"


async def test_a_call_that_was_refused_has_spent_nothing_upstream(stage: Stage) -> None:
    stage.route(stage.target("a"), limit=limit(per_minute=60, burst=1))
    await stage.call()
    await stage.call()
    summary = stage.summary
    assert (summary.outcome, summary.ttfb, summary.upstream_seconds, summary.steps) == ("rate_limited", 0.0, 0.0, [])


async def test_a_queue_stands_in_the_timeline(stage: Stage) -> None:
    room = slots(1, queue=1, max_wait=5)
    room.try_enter()
    stage.route(stage.target("a", concurrency=room))
    assert (await stage.call()).label == "overloaded"
    assert [(step.kind, step.target, step.seconds, step.why) for step in stage.summary.steps] == [
        ("wait", "a", 5.0, "queue"),
        ("skip", "a", 0.0, "a is busy"),
    ]
    room.leave()


async def test_the_timeline_tells_the_grpc_code_of_an_attempt(stage: Stage) -> None:
    stage.route(stage.target("a", "200 grpc=UNAVAILABLE", "200 grpc=NOT_FOUND", protocol="grpc", tries=2))
    await stage.call()
    told = [(step.outcome, step.code) for step in stage.summary.steps if step.kind == "attempt"]
    assert told == [("grpc_lost", "UNAVAILABLE"), ("client_error", "NOT_FOUND")]
