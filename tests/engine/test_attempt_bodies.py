"""Request bodies that are still coming, and reply bodies that may be replaced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.body import Body, ReplayMemory

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


def coming(*pieces: bytes, every: float = 0.0, memory: ReplayMemory | None = None) -> Body:
    """A body whose pieces come `every` so many seconds."""
    left = [*pieces, b""]

    def pull() -> bytes | asyncio.Future[bytes]:
        piece = left.pop(0)
        if not every:
            return piece
        loop = asyncio.get_running_loop()
        later = loop.create_future()
        loop.call_later(every, later.set_result, piece)
        return later

    return Body(pull, length=None, memory=memory)


def sent(stage: Stage) -> list[str]:
    return [line.replace(" > ", " ") for line in stage.transcript.of(" > ")]


async def test_a_streamed_body_is_sent_again_from_its_start(stage: Stage) -> None:
    a, b = stage.target("a", "503", tries=2), stage.target("b")
    stage.route(a, b)
    assert (await stage.call(b"PUT", body=coming(b"one ", b"two"))).body == b"b says 200"
    assert stage.upstreams["a"].bodies + stage.upstreams["b"].bodies == [b"one two"] * 3


async def test_an_attempt_that_is_cut_while_the_body_comes_truncates_nothing(stage: Stage) -> None:
    stage.route(stage.target("a", "503 early", tries=1), stage.target("b"))
    await stage.call(b"PUT", body=coming(b"one ", b"two ", b"three", every=10))
    assert stage.upstreams["b"].bodies == [b"one two three"]


async def test_the_clocks_start_when_the_body_is_sent(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", attempt=5, tries=1), stage.target("b", "hang"), deadline=20)
    answer = await stage.call(b"PUT", body=coming(b"one", b"two", every=100))
    assert answer.label == "deadline_exceeded"
    assert stage.transcript.of(" > ", "timeout") == [
        "0 > a",
        "305 a: timeout",
        "305 a -> b: timeout",
        "305 > b",
        "320 b: timeout",
    ]


async def test_a_callers_own_deadline_runs_from_the_start(stage: Stage) -> None:
    stage.route(stage.target("a", "hang"), deadline=20)
    body = coming(b"one", b"two", every=100)
    assert (await stage.call(b"PUT", body=body, caller_deadline=stage.clock() + 50)).label == "deadline_exceeded"
    assert stage.now == 50.0


async def test_a_callers_own_deadline_after_the_body_was_sent(stage: Stage) -> None:
    stage.route(stage.target("a", "hang"), deadline=20)
    await stage.call(b"PUT", body=coming(b"one", every=1), caller_deadline=stage.clock() + 5)
    assert stage.now == 5.0


async def test_a_body_that_ends_behind_its_reply_starts_no_clock(stage: Stage) -> None:
    """A stream both ways has no time limit, and what is told after the end is heard by nobody."""
    stage.route(stage.target("a", "ok early stream=a,b every=30s"), deadline=5)
    calling = stage.calling(b"PUT", body=coming(b"one"))
    await stage.until(1)
    attempt = stage.upstreams["a"].attempt
    assert attempt is not None
    attempt.sent()
    assert ((await calling).body, stage.now) == (b"ab", 60.0)
    attempt.sent()
    await stage.until(99)


async def test_a_body_longer_than_the_buffer_is_not_sent_again(stage: Stage) -> None:
    stage.route(stage.target("a", "503"), stage.target("b"), replay_buffer=5)
    answer = await stage.call(b"PUT", body=coming(b"1234", b"5678"))
    assert answer.body == b"a says 503"
    assert answer.call.replay_off
    assert stage.lines == ["0 > a", "0 r: no replay, body_too_long", "0 a: server_error", "0 r = server_error 503"]


@pytest.mark.parametrize("script", ["503", "reset", "429 retry-after=1", "unparseable"])
async def test_the_caller_is_told_when_its_long_body_was_why(stage: Stage, script: str) -> None:
    stage.route(stage.target("a", script, attempt=5), stage.target("b"), replay_buffer=5, deadline=60)
    answer = await stage.call(b"PUT", body=coming(b"1234", b"5678"))
    assert (len(sent(stage)), answer.call.replay_off) == (1, True)
    assert len(stage.transcript.of("no replay")) == 1


@pytest.mark.parametrize("script", ["ok", "404", "503", "reset"])
async def test_nobody_is_told_where_nothing_would_have_been_tried_again(stage: Stage, script: str) -> None:
    stage.route(stage.target("a", script), stage.target("b"), replay_buffer=5)
    answer = await stage.call(b"POST", body=coming(b"1234", b"5678"))
    assert (len(sent(stage)), answer.call.replay_off) == (1, False)


async def test_an_attempt_whose_body_cannot_be_sent_again_has_all_the_time(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=50s", attempt=20), stage.target("b"), replay_buffer=5, deadline=60)
    answer = await stage.call(body=coming(b"0123", b"4567", b"89"))
    assert (answer.body, stage.now, answer.call.replay_off) == (b"a says 200", 50.0, False)


async def test_a_static_link_needs_no_body(stage: Stage) -> None:
    stage.route(stage.target("a", "503"), stage.static(), replay_buffer=5)
    assert (await stage.call(b"PUT", body=coming(b"1234", b"5678"))).body == b"sorry"


async def test_a_stale_connection_cannot_be_replaced_once_the_body_has_gone(stage: Stage) -> None:
    stage.route(stage.target("a", "stale"), replay_buffer=5)
    assert (await stage.call(b"PUT", body=coming(b"1234", b"5678"))).label == "upstream_reset"
    assert sent(stage) == ["0 a"]


async def test_replay_memory_is_shared_and_given_back(stage: Stage) -> None:
    memory = ReplayMemory(10)
    stage.route(stage.target("a", "503 after=1s", "503 after=1s", "ok", tries=2))
    first = stage.calling(b"PUT", body=coming(b"12345678", memory=memory))
    await stage.until(0)
    second = await stage.call(b"PUT", body=coming(b"12345678", memory=memory))
    assert (second.status, second.call.replay_off) == (503, True)
    assert ((await first).status, memory.used) == (200, 0)


async def test_an_answer_that_may_be_replaced_is_read_and_its_connection_given_back(stage: Stage) -> None:
    stage.route(stage.target("a", "503 stream=x,y every=1s", "503 stream=z", tries=2))
    calling = stage.calling()
    await stage.until(2.5)
    assert stage.upstreams["a"].held == 0, "the next attempt may need its place in the pool"
    assert (await calling).body == b"z"


async def test_a_longer_one_waits_behind_its_beginning(stage: Stage) -> None:
    stage.route(stage.target("a", "503 big", tries=1), stage.target("b", "reset", tries=1))
    answer = await stage.call()
    assert (answer.status, answer.body) == (503, b"x" * 100_000)


async def test_one_that_is_not_needed_is_let_go(stage: Stage) -> None:
    stage.route(stage.target("a", "503 big", "503 big", tries=2), stage.target("b"))
    assert (await stage.call()).body == b"b says 200"


async def test_trailers_of_an_answer_that_was_held_are_kept(stage: Stage) -> None:
    stage.route(stage.target("a", "503 stream=x,y trailers", tries=1), stage.target("b", "reset", tries=1))
    assert (await stage.call()).body == b"xy"


async def test_the_last_answer_is_not_held_back(stage: Stage) -> None:
    stage.route(stage.target("a", "503 stream=x,y every=1s", tries=1))
    assert (await stage.call()).body == b"xy"
    assert stage.summary.ttfb == 0.0


@pytest.mark.parametrize(
    ("script", "status", "label", "moment"),
    [("503 stream=x cut", 502, "upstream_reset", 0.0), ("503 stream=x stall", 504, "deadline_exceeded", 60.0)],
)
async def test_an_answer_that_is_lost_while_it_is_held_is_no_answer(
    stage: Stage, script: str, status: int, label: str, moment: float
) -> None:
    stage.route(stage.target("a", script, tries=1), stage.target("b", "reset", tries=1), deadline=60)
    answer = await stage.call()
    assert (answer.status, answer.label, stage.now) == (status, label, moment)
    assert stage.lines[1] == f"{moment:g} a: server_error", "what it meant for the target was known at evidence"


async def test_a_caller_that_leaves_while_an_answer_is_held(stage: Stage) -> None:
    stage.route(stage.target("a", "503 stream=x stall", breaker={"failure_threshold": 1}), stage.target("b"))
    calling = stage.calling()
    await stage.until(5)
    await stage.leave(calling)
    assert stage.lines == ["0 > a", "0 a is open", "5 a: server_error", "5 r = caller_left 499"]
