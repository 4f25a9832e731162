"""The life of an LLM call: its body held, its tokens drawn and corrected, equal calls in one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from sidecar.body import Body, ReplayMemory
from sidecar.call import What
from sidecar.errors import CallerLeft
from sidecar.llm import Dialect, LlmOptions
from tests.kit.providers import (
    CUT,
    DONE,
    ENDS,
    LONGEST,
    ROLE,
    STARTS,
    STOP,
    STOPS,
    Says,
    answers,
    asks,
    completion,
    fails,
    streams,
    text,
    used,
    word,
)
from tests.kit.stage import limit, slots

if TYPE_CHECKING:
    from sidecar.engine.route import Limit
    from tests.kit.providers import LlmStage
    from tests.kit.stage import Answer

pytestmark = pytest.mark.virtual_time

WELL = ROLE + text("Hello") + STOP + DONE
KEY = {b"idempotency-key": b"k1"}
ESTIMATE = len(orjson.dumps({"model": "gpt-x", "messages": [{"role": "user", "content": "Hi?"}]})) // 4 + 256


class Sending:
    """A body that comes in pieces, some seconds apart."""

    def __init__(self, *pieces: bytes, every: float = 1.0) -> None:
        self._pieces = [*pieces, b""]
        self._every = every

    def pull(self) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        if not self._pieces[0]:
            loop.call_soon(_send, future, b"")
        else:
            loop.call_later(self._every, _send, future, self._pieces.pop(0))
        return future


def _send(future: asyncio.Future[bytes], piece: bytes) -> None:
    if not future.done():
        future.set_result(piece)


def left(limit: Limit) -> int:
    """Tokens that the limit still has."""
    (quota,) = limit.bucket.quotas("")
    assert quota.unit == "tokens"
    return quota.remaining


async def coming(stage: LlmStage, *pieces: bytes, every: float = 1.0, length: int | None = None, **told: Any) -> Answer:
    """A call whose body is still on its way."""
    memory = told.pop("replay", None)
    call = asks({}, **told)
    call.started = stage.clock()
    call.body = Body(Sending(*pieces, every=every).pull, length=length, memory=memory)
    return await stage.send(call)


# The body.


async def test_a_body_that_is_still_coming_is_held_whole_before_any_target_is_asked(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", fails(), answers(completion()), backoff=0.5), deadline=5)
    memory = ReplayMemory(1000)
    body = orjson.dumps({"model": "m", "messages": []})
    answer = await coming(llm_stage, *[bytes([byte]) for byte in body[:9]], body[9:], replay=memory)
    assert (answer.status, memory.used) == (200, 0)
    assert llm_stage.lines[0] == "10 > a"
    assert [document["model"] for document in llm_stage.providers["a"].documents] == ["m", "m"]


@pytest.mark.parametrize(
    ("on_break", "foreign", "kept"), [("error", False, False), ("error", True, False), ("continue", False, True)]
)
async def test_once_an_answer_streams_the_request_takes_no_memory(
    llm_stage: LlmStage,
    on_break: Any,
    foreign: bool,
    kept: bool,
) -> None:
    """Unless it may be asked once more."""
    said = (STARTS, word("Hi"), STOPS, ENDS) if foreign else (ROLE, text("Hi"), STOP, DONE)
    target = llm_stage.model("a", streams(*said), dialect=Dialect.ANTHROPIC if foreign else Dialect.OPENAI)
    llm_stage.llm(target, options=LlmOptions(on_break=on_break))
    call, memory = asks(stream=True), ReplayMemory(1000)
    call.body = Body(Sending(call.body.whole or b"").pull, length=None, memory=memory)
    async with llm_stage.engine.exchange(call) as reply:
        assert call.llm is not None
        assert (bool(call.llm.document), call.body.whole is not None, memory.used > 0) == (kept, kept, kept)
        assert call.llm.said == {}
        assert reply.chunks is not None
        assert b"Hi" in b"".join([chunk async for chunk in reply.chunks])
    assert memory.used == 0


async def test_one_that_is_too_long_is_refused(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a"))
    assert (await coming(llm_stage, b"x", length=LONGEST + 1)).label == "body_too_large"
    assert (await coming(llm_stage, b"x" * LONGEST, b"x")).label == "body_too_large"
    assert (await llm_stage.ask(b"x" * (LONGEST + 1))).label == "body_too_large"


async def test_one_that_finds_no_memory_may_come_again(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a"))
    answer = await coming(llm_stage, b"x" * 9, b"y" * 9, replay=ReplayMemory(10))
    assert (answer.label, answer.retry_after) == ("overloaded", 1.0)


async def test_a_callers_deadline_counts_while_its_body_comes(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a"))
    answer = await coming(llm_stage, b"{", b"}", every=20, caller_deadline=llm_stage.clock() + 5)
    assert (answer.label, llm_stage.now) == ("deadline_exceeded", 5.0)


async def test_bad_json_reaches_nobody(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a"))
    assert (await llm_stage.ask(b"{torn")).label == "invalid_request"
    assert llm_stage.providers["a"].calls == []


async def test_what_is_no_question_streams_on_as_it_comes(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", answers(b"{}")))
    assert (await coming(llm_stage, b"one", b"two", every=9, path=b"/v1/files")).status == 200
    assert llm_stage.lines[0] == "0 > a"


async def test_infer_goes_where_its_body_says(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a"))
    await llm_stage.ask(path=b"/v1/infer?x=1")
    assert llm_stage.providers["a"].calls[0].outgoing == b"/chat/completions?x=1"


async def test_a_held_stream_tells_the_listener_and_nothing_else_does(llm_stage: LlmStage) -> None:
    warm: list[str] = []
    llm_stage.llm(llm_stage.model("a", streams(WELL)), options=LlmOptions(stream="complete"))
    for stream in (True, False):
        call = asks(stream=stream)
        call.keep_warm = lambda stream=stream: warm.append(f"stream={stream}")
        await llm_stage.send(call)
    await llm_stage.ask(stream=True)
    assert warm == ["stream=True"]


# Tokens.


@pytest.mark.parametrize(
    ("said", "spent"),
    [
        (answers(completion(prompt=10, tokens=5)), 15),
        (answers(completion(prompt=1000, tokens=500)), 1500),
        (answers({"choices": []}), ESTIMATE),
        (streams(WELL), ESTIMATE),
        (streams(ROLE + text("Hi") + STOP + used(30, 3) + DONE), 33),
        (streams(ROLE, used(900, 9), text("Hi"), CUT), 909),
        (streams(ROLE, text("Hi"), CUT), ESTIMATE),
        (answers({"error": {"message": "no"}}, 400), 0),
        (answers({"error": {"message": "no"}}, 429), 0),
        (fails(What.NO_CONNECTION), 0),
        (fails(What.OVERLOADED), 0),
        (fails(What.RESET), ESTIMATE),
    ],
    ids=[
        "whole", "more than thought", "no usage", "stream without usage", "stream", "broken, dear", "broken", "refused",
        "throttled", "no connection", "pool", "reset",
    ],
)  # fmt: skip
async def test_an_estimate_is_corrected_by_what_was_used(llm_stage: LlmStage, said: Says, spent: int) -> None:
    routes, targets = (limit(tokens_per_minute=10_000, burst=10_000) for _ in range(2))
    llm_stage.llm(llm_stage.model("a", said, tries=1, limit=targets), limit=routes)
    document = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hi?"}]}
    stream = said.headers.get("content-type") == "text/event-stream"
    extra = 4 if stream else 0  # of `"stream": true`, four characters each
    await llm_stage.ask({**document, "stream": True} if stream else document)
    allowed = {10_000 - spent} if spent != ESTIMATE else range(10_000 - spent - extra, 10_001 - spent)
    assert left(routes) in allowed
    assert left(targets) in allowed


async def test_over_fallbacks_the_route_pays_for_all_and_each_target_for_its_own(llm_stage: LlmStage) -> None:
    routes, of_a, of_b = (limit(tokens_per_minute=10_000, burst=10_000) for _ in range(3))
    a = llm_stage.model("a", fails(What.RESET), answers({"error": {}}, 500), tries=2, limit=of_a, backoff=0.001)
    llm_stage.llm(a, llm_stage.model("b", limit=of_b), limit=routes)
    await llm_stage.ask()
    expected = [10_000 - ESTIMATE - 15, 10_000 - ESTIMATE, 10_000 - 15]
    assert [left(each) for each in (routes, of_a, of_b)] == pytest.approx(expected, abs=1)


async def test_a_caller_that_leaves_has_used_its_estimate(llm_stage: LlmStage) -> None:
    routes = limit(tokens_per_minute=10_000, burst=10_000)
    llm_stage.llm(llm_stage.model("a", streams(ROLE, used(900, 1), text("Hi"), None)), limit=routes)
    for moment, spent in ((1.0, 901),):
        asking = llm_stage.asking(stream=True)
        await llm_stage.until(moment)
        await llm_stage.leave(asking)
        assert left(routes) in range(10_000 - spent, 10_000 - spent + 300)


async def test_one_that_reached_nobody_has_used_nothing(llm_stage: LlmStage) -> None:
    routes, of_a = (limit(tokens_per_minute=10_000, burst=10_000) for _ in range(2))
    room = slots(1, queue=1, max_wait=60)
    assert room.try_enter()
    a = llm_stage.model("a", limit=of_a, concurrency=room)
    llm_stage.llm(a, limit=routes)
    asking = llm_stage.asking()
    await llm_stage.until(1)
    await llm_stage.leave(asking)
    assert (left(routes), left(of_a)) == (10_000, 10_000)
    assert (await llm_stage.ask()).label == "overloaded"
    assert (left(routes), left(of_a)) == (10_000, 10_000)
    room.leave()
    a.service.breaker = llm_stage.model("c", breaker={}).service.breaker
    assert a.service.breaker is not None
    a.service.breaker.force_open()
    assert (await llm_stage.ask()).label == "circuit_open"
    assert (left(routes), left(of_a)) == (10_000, 10_000)


async def test_nor_has_one_that_a_static_link_answered(llm_stage: LlmStage) -> None:
    routes = limit(tokens_per_minute=10_000, burst=10_000)
    llm_stage.llm(llm_stage.model("a", fails(What.NO_CONNECTION), tries=1), llm_stage.static(), limit=routes)
    assert (await llm_stage.ask()).body == b"sorry"
    assert left(routes) == 10_000


async def test_a_full_limit_of_tokens_refuses(llm_stage: LlmStage) -> None:
    routes = limit(tokens_per_minute=300, burst=300)
    llm_stage.llm(llm_stage.model("a", answers(completion(prompt=290))), limit=routes)
    assert [(await llm_stage.ask()).status for _ in range(2)] == [200, 429]


async def test_a_limit_of_requests_hears_nothing_of_tokens(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a"), limit=limit(per_minute=60, burst=1))
    assert [(await llm_stage.ask()).status for _ in range(2)] == [200, 429]


# Equal calls.


async def test_equal_calls_at_the_same_time_are_one(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", answers(completion(), after=5.0), model="small"))
    calling = [llm_stage.asking(fields=KEY) for _ in range(3)]
    came = await asyncio.gather(*calling)
    assert {answer.body for answer in came} == {orjson.dumps(completion())}
    assert len(llm_stage.providers["a"].calls) == 1
    assert [(answer.call.upstream, answer.call.attempts) for answer in came] == [("a", 1), ("a", 0), ("a", 0)]
    assert all(answer.call.llm is not None and answer.call.llm.answered_by == "small" for answer in came)
    assert llm_stage.transcript.of("spent") == ["5 a spent 10+5"]
    assert [line for line in llm_stage.lines if " = " in line] == ["5 r = ok 200"] * 3
    await llm_stage.ask(fields=KEY)
    assert len(llm_stage.providers["a"].calls) == 2, "nothing is remembered"


@pytest.mark.parametrize(
    "other",
    [
        {"fields": {b"idempotency-key": b"k2"}},
        {"fields": {**KEY, b"authorization": b"Bearer other"}},
        {"fields": KEY, "path": b"/v1/completions"},
        {"fields": {}},
        {"fields": KEY, "stream": True},
    ],
    ids=["key", "credential", "path", "none", "stream"],
)
async def test_others_are_not_equal(llm_stage: LlmStage, other: dict[str, Any]) -> None:
    llm_stage.llm(llm_stage.model("a", answers(completion(), after=5.0)))
    await asyncio.gather(llm_stage.asking(fields=KEY), llm_stage.asking(**other))
    assert len(llm_stage.providers["a"].calls) == 2


async def test_the_same_key_with_another_body_is_a_mistake(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", answers(completion(), after=5.0)))
    asking = llm_stage.asking(fields=KEY)
    await llm_stage.until(1)
    answer = await llm_stage.ask(fields=KEY, seed=1)
    assert (answer.status, answer.label) == (422, "idempotency_mismatch")
    assert (await asking).status == 200


async def test_a_refusal_is_shared_too(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", fails(What.RESET, after=2.0), tries=1))
    came = await asyncio.gather(*[llm_stage.asking(fields=KEY) for _ in range(2)])
    assert [answer.label for answer in came] == ["upstream_reset"] * 2
    assert came[0].refusal is not came[1].refusal
    assert len(llm_stage.providers["a"].calls) == 1
    failed = answers({"error": {"message": "no"}}, 400, after=2.0)
    llm_stage.llm(llm_stage.model("a", failed))
    came = await asyncio.gather(*[llm_stage.asking(fields=KEY) for _ in range(2)])
    assert [answer.status for answer in came] == [400, 400]
    assert llm_stage.lines[-2:] == ["4 r = client_error 400"] * 2


async def test_when_the_leader_leaves_the_next_one_leads(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", answers(completion(), after=5.0)))
    leader, *others = [llm_stage.asking(fields=KEY) for _ in range(3)]
    await llm_stage.until(2)
    await llm_stage.leave(leader)
    assert [(await other).status for other in others] == [200, 200]
    assert (len(llm_stage.providers["a"].calls), llm_stage.now) == (2, 7.0)


async def test_one_that_waits_may_leave_or_lose_patience(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", answers(completion(), after=50.0)))
    leader = llm_stage.asking(fields=KEY)
    await llm_stage.until(1)
    leaving, late = llm_stage.asking(fields=KEY), llm_stage.asking(fields=KEY, caller_deadline=llm_stage.clock() + 4)
    await llm_stage.until(2)
    await llm_stage.leave(leaving)
    assert ((await late).label, llm_stage.now) == ("deadline_exceeded", 5.0)
    assert (await leader).status == 200
    waited = [step.why for summary in llm_stage.observer.summaries for step in summary.steps if step.kind == "wait"]
    assert waited == ["equal_call", "equal_call"]


async def test_an_answer_that_came_as_a_stream_is_shared_with_nobody(llm_stage: LlmStage) -> None:
    """Though it was not asked for one, in its own dialect it gets it."""
    llm_stage.llm(llm_stage.model("a", streams(WELL)))
    came = await asyncio.gather(*[llm_stage.asking(fields=KEY) for _ in range(2)])
    assert [answer.body for answer in came] == [WELL, WELL]
    assert len(llm_stage.providers["a"].calls) == 2


async def test_a_body_that_nobody_could_read_to_its_end_gives_its_place_back(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a"))
    call = asks({}, fields=KEY)

    def gone() -> asyncio.Future[bytes]:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        future.set_exception(CallerLeft())
        return future

    call.body = Body(gone, length=None)
    with pytest.raises(CallerLeft):
        await llm_stage.send(call)
    assert llm_stage.summary.outcome == "caller_left"


# What telemetry hears.


async def test_tokens_of_what_the_caller_never_got_are_wasted(llm_stage: LlmStage) -> None:
    refused = answers(completion("no", reason="content_filter", prompt=7, tokens=1))
    llm_stage.llm(llm_stage.model("a", refused, refusal_next=True), llm_stage.model("b"))
    answer = await llm_stage.ask()
    assert [line[2:] for line in llm_stage.transcript.of("wasted", "spent")] == ["a wasted 7+1", "b spent 10+5"]
    assert answer.call.llm is not None
    assert answer.call.llm.usage is not None
    assert answer.call.llm.usage.total == 15


async def test_where_no_usage_was_told_each_delta_is_a_token(llm_stage: LlmStage) -> None:
    llm_stage.llm(llm_stage.model("a", streams(ROLE, used(9, 1), text("a"), text("b"), text("c"), CUT), tries=1))
    assert (await llm_stage.ask(stream=True)).broke
    assert llm_stage.transcript.of("wasted") == ["0 a wasted 9+3"]
