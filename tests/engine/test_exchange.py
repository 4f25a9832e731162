"""The life of one call, from the outside: what is asked in which order, who hears of it, what is given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sidecar.body import Body
from sidecar.errors import BodyTooLarge, CallerLeft, ForbiddenHost
from tests.kit.stage import a_call, limit, slots

if TYPE_CHECKING:
    from sidecar.call import Call
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


async def test_a_call_that_goes_well(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=2s", breaker={}))
    answer = await stage.call()
    assert (answer.status, answer.body) == (200, b"a says 200")
    assert stage.lines == ["0 > a", "2 a: ok", "2 r = ok 200"]


async def test_the_call_knows_where_it_went(stage: Stage) -> None:
    stage.route(stage.target("a", "reset"), stage.target("b"), idempotent=True)
    call = (await stage.call(b"POST")).call
    assert (call.route, call.upstream, call.attempts, call.generation, call.status) == ("r", "b", 4, 7, 200)
    assert call.idempotent, "the route says so"


async def test_a_call_that_no_route_takes_is_heard_of_too(stage: Stage) -> None:
    answer = await stage.call()
    assert (answer.status, answer.label) == (404, "no_route")
    assert stage.lines == ["0 - = no_route 404"]


async def test_the_listeners_own_refusal_comes_before_everything(stage: Stage) -> None:
    stage.route(stage.target("a"))
    stage.engine.inflight = slots(1)
    stage.engine.draining = True
    answer = await stage.call(refusal=ForbiddenHost())
    assert answer.label == "forbidden_host"
    assert stage.lines == ["0 - = forbidden_host 403"]


async def test_while_draining_new_calls_are_refused_and_told_when_to_come_back(stage: Stage) -> None:
    stage.route(stage.target("a"))
    stage.engine.draining = True
    answer = await stage.call()
    assert (answer.status, answer.label, answer.retry_after) == (503, "draining", 1.0)


async def test_calls_in_flight_end_in_peace_while_draining(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=5s"))
    calling = stage.calling()
    await stage.until(1)
    stage.engine.draining = True
    assert (await calling).status == 200


async def test_too_many_calls_at_once(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=5s"))
    stage.engine.inflight = slots(1)
    first = stage.calling()
    await stage.until(1)
    second = await stage.call()
    assert (second.status, second.label, second.retry_after) == (503, "overloaded", 1.0)
    assert (await first).status == 200
    assert (await stage.call()).status == 200


async def test_a_call_without_a_route_gives_its_place_back(stage: Stage) -> None:
    stage.engine.inflight = slots(1)
    assert [(await stage.call()).label for _ in range(2)] == ["no_route", "no_route"]


async def test_the_routes_limit_refuses_with_the_numbers_of_the_contract(stage: Stage) -> None:
    stage.route(stage.target("a"), limit=limit(per_minute=60, burst=1))
    first, second = await stage.call(), await stage.call()
    assert first.status == 200
    assert (second.status, second.label, second.retry_after) == (429, "rate_limited", 1.0)
    assert getattr(second.refusal, "detail", None) == {
        "error": "rate limit of r exceeded",
        "limit_per_minute": 60,
        "limit_per_hour": None,
        "retry_after": 1,
    }
    assert stage.lines[3:] == ["0 r: over the limit", "0 r = rate_limited 429"]


async def test_the_caller_is_told_its_quota_whether_there_was_a_place_or_not(stage: Stage) -> None:
    stage.route(stage.target("a"), limit=limit(per_minute=60, burst=1))
    answers = [await stage.call(), await stage.call()]
    told = [(quota.limit, quota.window, quota.remaining) for answer in answers for quota in answer.call.quotas or ()]
    assert told == [(60, 60.0, 0), (60, 60.0, 0)]


async def test_a_route_without_a_limit_tells_no_quota(stage: Stage) -> None:
    stage.route(stage.target("a"))
    assert (await stage.call()).call.quotas is None


async def test_a_full_route_refuses(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=5s"), concurrency=slots(1))
    first = stage.calling()
    await stage.until(1)
    second = await stage.call()
    assert (second.label, second.retry_after) == ("overloaded", 1.0)
    await first


async def test_a_place_in_the_route_is_held_until_the_reply_has_ended(stage: Stage) -> None:
    stage.route(stage.target("a", "ok stream=x,y,z every=1s", "ok"), concurrency=slots(1, queue=1, max_wait=60))
    first, second = stage.calling(), stage.calling()
    assert ((await first).body, (await second).body) == (b"xyz", b"a says 200")
    assert stage.lines == ["0 > a", "3 a: ok", "3 r = ok 200", "3 > a", "3 a: ok", "3 r = ok 200"]


@pytest.mark.parametrize(
    ("limits", "call", "label"),
    [
        ({"max_headers": 1}, {"fields": {b"a": b"1", b"b": b"2"}}, "header_too_large"),
        ({"max_headers": 2}, {"fields": {b"a": b"1", b"b": b"2"}}, ""),
        ({"max_header_bytes": 11}, {"fields": {b"a": b"1", b"b": b"2"}}, "header_too_large"),
        ({"max_header_bytes": 12}, {"fields": {b"a": b"1", b"b": b"2"}}, ""),
        ({"max_body_bytes": 3}, {"body": b"1234"}, "body_too_large"),
        ({"max_body_bytes": 4}, {"body": b"1234"}, ""),
        ({"max_body_bytes": 3}, {"body": Body(lambda: b"", length=4)}, "body_too_large"),
    ],
)
async def test_the_routes_own_sizes(stage: Stage, limits: dict[str, int], call: dict[str, Any], label: str) -> None:
    stage.route(stage.target("a"), **limits)
    assert (await stage.call(**call)).label == label


async def test_a_chunked_body_is_measured_while_it_comes(stage: Stage) -> None:
    pieces = [b"1234", b"5678", b""]
    stage.route(stage.target("a", breaker={}), max_body_bytes=5)
    answer = await stage.call(b"PUT", body=Body(lambda: pieces.pop(0), length=None))
    assert (answer.status, answer.label) == (413, "body_too_large")
    assert stage.lines == ["0 > a", "0 a: abandoned", "0 r = body_too_large 413"]


async def test_a_caller_that_leaves_while_its_body_is_read_hurts_nobody(stage: Stage) -> None:
    def gone() -> bytes:
        raise CallerLeft

    target = stage.target("a", breaker={"failure_threshold": 1})
    stage.route(target)
    with pytest.raises(CallerLeft):
        await stage.call(b"PUT", body=Body(gone, length=None))
    assert stage.lines == ["0 > a", "0 a: abandoned", "0 r = caller_left 499"]


async def test_a_crash_of_ours_is_ours(stage: Stage) -> None:
    stage.route(
        stage.target("a", "crash", breaker={"failure_threshold": 1}, concurrency=slots(1), addresses=2),
        stage.target("b"),
        concurrency=slots(1),
    )
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await stage.call()
    assert stage.lines == ["0 > a", "0 a: abandoned", "0 r = internal_error 500"] * 2


async def test_a_crash_gives_a_probe_s_place_back(stage: Stage) -> None:
    target = stage.target("a", "reset", "crash", "ok", breaker={"failure_threshold": 1}, tries=1)
    stage.route(target)
    await stage.call()
    await stage.until(10)
    with pytest.raises(ZeroDivisionError):
        await stage.call()
    assert (await stage.call()).status == 200
    assert stage.transcript.of(" is ") == ["0 a is open", "10 a is half_open", "10 a is closed"]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (CallerLeft(), "caller_left"),
        (ConnectionResetError(), "caller_left"),
        (BodyTooLarge(), "body_too_large"),
        (ZeroDivisionError(), "internal_error"),
    ],
)
async def test_what_goes_wrong_while_relaying_is_not_the_targets_fault(
    stage: Stage, error: Exception, outcome: str
) -> None:
    stage.route(stage.target("a", "ok stream=x,y", breaker={"failure_threshold": 1}))
    call: Call = a_call(started=stage.clock())
    with pytest.raises(type(error)):
        async with stage.engine.exchange(call):
            raise error
    assert stage.lines == ["0 > a", "0 a: ok", f"0 r = {outcome} 200"]


async def test_path_and_query_as_the_upstream_is_to_see_them(stage: Stage) -> None:
    stage.route(stage.target("a"), path=b"/shop/*", strip=b"/shop")
    call = (await stage.call(path=b"/shop/cart?item=/shop/1")).call
    assert (call.outgoing, call.stripped) == (b"/cart?item=/shop/1", b"/shop")


async def test_without_strip_and_rewrite_the_target_passes_as_it_is(stage: Stage) -> None:
    stage.route(stage.target("a"))
    assert (await stage.call(path=b"//a/../%2f?")).call.outgoing == b""


@pytest.mark.parametrize(("gone", "outcome"), [(5.0, "caller_left"), (9.95, "deadline_exceeded")])
async def test_a_grpc_caller_that_is_gone_when_its_deadline_passes_has_not_left(
    stage: Stage, gone: float, outcome: str
) -> None:
    """Its library counts for itself, and a little faster: it rounds what it tells us up."""
    stage.route(stage.target("a", "hang"))
    calling = stage.calling(rpc_deadline=stage.clock() + 10)
    await stage.until(gone)
    await stage.leave(calling)
    assert stage.lines[-1] == f"{gone:g} r = {outcome} 499"
