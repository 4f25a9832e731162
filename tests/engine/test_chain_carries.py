"""Targets that cannot carry a call: skipped without an attempt, whether it is known before or seen while sending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.body import Body
from tests.kit.stage import slots

if TYPE_CHECKING:
    from sidecar.call import Call
    from sidecar.engine.route import Target
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time

ONE = {"failure_threshold": 1}


def only_decides(call: Call) -> str:
    return "" if call.path == b"/decide" else "not_translatable: it is no decide"


def limited(target: Target) -> Target:
    """It carries decides alone."""
    target.cannot = only_decides
    return target


def why_skipped(stage: Stage) -> list[str]:
    return [f"{step.target}: {step.outcome}" for step in stage.summary.steps if step.kind == "skip"]


async def test_a_target_that_cannot_carry_the_call_is_skipped_and_is_no_attempt(stage: Stage) -> None:
    stage.route(limited(stage.target("a")), stage.target("b"))
    answer = await stage.call(b"POST", b"/other")
    assert (answer.body, answer.call.attempts) == (b"b says 200", 1)
    assert stage.lines == ["0 a -> b: not_translatable", "0 > b", "0 b: ok", "0 r = ok 200"]
    assert why_skipped(stage) == ["a: not_translatable"]


async def test_what_it_carries_it_is_sent(stage: Stage) -> None:
    stage.route(limited(stage.target("a")), stage.target("b"))
    assert (await stage.call(b"POST", b"/decide")).body == b"a says 200"


async def test_it_takes_neither_slot_nor_probe(stage: Stage) -> None:
    room = slots(1)
    a = limited(stage.target("a", "reset", breaker=ONE, concurrency=room, tries=1))
    stage.route(a)
    await stage.call(b"GET", b"/decide")
    await stage.until(10)
    assert (await stage.call(b"GET", b"/other")).label == "not_translatable"
    assert stage.transcript.of(" is ") == ["0 a is open"], "half-open would mean that a probe was taken"
    assert room.inflight == 0


async def test_it_is_no_other_target_that_a_timeout_could_leave_the_call_to(stage: Stage) -> None:
    stage.route(stage.target("a", "hang", attempt=5, tries=2), limited(stage.target("b")), deadline=8.0)
    answer = await stage.call()
    assert answer.label == "deadline_exceeded"
    assert stage.transcript.of(" > ") == ["0 > a", "6 > a"], "tried again here, since nobody else could take it"


async def test_none_can(stage: Stage) -> None:
    stage.route(limited(stage.target("a")), limited(stage.target("b")))
    answer = await stage.call()
    assert (answer.status, answer.label, answer.call.attempts) == (400, "not_translatable", 0)
    assert stage.lines[-1] == "0 r = not_translatable 400"


async def test_one_that_could_but_may_not_now_is_what_the_caller_hears_of(stage: Stage) -> None:
    open_one = stage.target("b", breaker={})
    assert open_one.service.breaker is not None
    open_one.service.breaker.force_open()
    for chain in ([limited(stage.target("a")), open_one], [open_one, limited(stage.target("a"))]):
        stage.route(*chain)
        assert (await stage.call()).label == "circuit_open"


async def test_a_target_that_finds_it_cannot_while_sending_has_made_no_attempt(stage: Stage) -> None:
    stage.route(stage.target("a", "cannot-carry", breaker=ONE), stage.target("b", "503", "ok", max_attempts=2))
    answer = await stage.call()
    assert (answer.status, answer.call.attempts) == (200, 2), "both attempts were left for the next target"
    assert stage.transcript.of("a") == [
        "0 > a",
        "0 a: cannot_carry",
        "0 a -> b: cannot_carry",
        "0 b again: server_error",
    ]


async def test_it_is_no_failed_attempt_for_which_the_caller_should_stop_retrying(stage: Stage) -> None:
    stage.route(stage.target("a", "cannot-carry"), stage.target("b", "503", tries=1))
    assert (await stage.call()).call.should_retry is None


async def test_nothing_was_sent_so_the_call_need_not_be_idempotent(stage: Stage) -> None:
    stage.route(stage.target("a", "cannot-carry"), stage.target("b"))
    assert (await stage.call(b"POST")).body == b"b says 200"


async def test_a_request_too_large_for_the_only_target(stage: Stage) -> None:
    stage.route(stage.target("a", "cannot-carry sign=too_large"))
    answer = await stage.call(b"POST", body=b"x" * 5000)
    assert (answer.status, answer.label, answer.call.attempts) == (413, "body_too_large", 0)
    assert answer.refusal is not None
    assert "a cannot take a request of this size" in answer.refusal.message


async def test_that_size_was_why_is_told_whichever_target_said_it(stage: Stage) -> None:
    for chain in (
        [limited(stage.target("a")), stage.target("b", "cannot-carry sign=too_large")],
        [stage.target("b", "cannot-carry sign=too_large"), limited(stage.target("a"))],
    ):
        stage.route(*chain)
        assert (await stage.call()).label == "body_too_large"


async def test_but_not_where_a_target_was_attempted(stage: Stage) -> None:
    stage.route(stage.target("a", "cannot-carry sign=too_large"), stage.target("b", "no-connection", tries=1))
    assert (await stage.call()).label == "upstream_connect_failed"


async def test_a_static_link_answers_for_those_that_cannot(stage: Stage) -> None:
    stage.route(stage.target("a", "cannot-carry sign=too_large"), stage.static())
    assert (await stage.call()).body == b"sorry"


async def test_methods_that_a_target_s_protocol_knows_to_be_idempotent_are(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", "ok"), idempotent_paths=frozenset({b"/shop.v1.Cart/Get"}))
    assert (await stage.call(b"POST", b"/shop.v1.Cart/Get", body=Body.of(b"x"))).status == 200
    assert (await stage.call(b"POST", b"/shop.v1.Cart/Get")).call.idempotent
    assert not (await stage.call(b"POST", b"/shop.v1.Cart/Add")).call.idempotent
