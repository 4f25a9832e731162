"""Which answer the caller gets when none was committed: the first target's that answered, else our own error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.stage import limit

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time


async def test_the_first_target_that_answered_has_the_last_word(stage: Stage) -> None:
    stage.route(
        stage.target("a", "reset", tries=1),
        stage.target("b", "503 stream=first", "500 stream=sec,ond", tries=2),
        stage.target("c", "502 stream=third", tries=1),
    )
    answer = await stage.call()
    assert (answer.status, answer.body, answer.call.upstream) == (500, b"second", "b")


async def test_a_later_refusal_does_not_mislead(stage: Stage) -> None:
    stage.route(stage.target("a", "503", tries=1), stage.target("b", "429 retry-after=99"))
    assert (await stage.call()).body == b"a says 503"


async def test_but_what_must_not_be_repeated_is_committed(stage: Stage) -> None:
    stage.route(stage.target("a", "503 stream=x", tries=1), stage.target("b", "400"))
    assert (await stage.call()).body == b"b says 400"


async def test_what_a_target_said_stays_its_answer_when_its_next_try_says_nothing(stage: Stage) -> None:
    stage.route(stage.target("a", "503", "reset", tries=2))
    assert (await stage.call()).body == b"a says 503"


async def test_an_answer_stands_though_the_next_target_is_skipped(stage: Stage) -> None:
    b = stage.target("b")
    b.rest.rest(stage.clock() + 99, "throttled")
    stage.route(stage.target("a", "503", tries=1), b)
    assert (await stage.call()).body == b"a says 503"
    assert stage.lines[-1] == "0 r = server_error 503"


async def test_if_none_answered_the_first_that_was_attempted_names_the_error(stage: Stage) -> None:
    a = stage.target("a")
    a.rest.rest(stage.clock() + 99, "throttled")
    stage.route(a, stage.target("b", "no-connection", tries=1), stage.target("c", "unparseable"))
    answer = await stage.call()
    assert (answer.status, answer.label) == (502, "upstream_connect_failed")


async def test_if_none_was_attempted_the_first_that_was_skipped_does(stage: Stage) -> None:
    a = stage.target("a", limit=limit(per_minute=60, burst=1))
    b = stage.target("b")
    b.rest.rest(stage.clock() + 0.5, "auth_failed")
    stage.route(a, b)
    await stage.call()
    answer = await stage.call()
    assert (answer.status, answer.label, answer.retry_after) == (429, "rate_limited", 0.5)


async def test_an_open_circuit_tells_when_it_may_be_tried(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", breaker={"failure_threshold": 1}, tries=1))
    await stage.call()
    await stage.until(3)
    answer = await stage.call()
    assert (answer.status, answer.label, answer.retry_after) == (503, "circuit_open", 7.0)
    assert str(answer.refusal) == "Circuit breaker 'a' is OPEN"


async def test_a_circuit_opened_by_hand_tells_no_time(stage: Stage) -> None:
    a = stage.target("a", breaker={})
    assert a.service.breaker is not None
    a.service.breaker.force_open()
    stage.route(a)
    assert (await stage.call()).retry_after is None


@pytest.mark.parametrize(
    ("script", "status", "label"),
    [
        ("no-connection", 502, "upstream_connect_failed"),
        ("stale", 502, "upstream_reset"),
        ("stale-written", 502, "upstream_reset"),
        ("reset", 502, "upstream_reset"),
        ("unparseable", 502, "upstream_protocol_error"),
        ("cannot-carry", 400, "not_translatable"),
        ("pool-full", 503, "overloaded"),
    ],
)
async def test_our_own_errors(stage: Stage, script: str, status: int, label: str) -> None:
    stage.route(stage.target("a", script))
    answer = await stage.call(b"POST")
    assert (answer.status, answer.label) == (status, label)
    assert answer.retry_after == (1.0 if label == "overloaded" else None)


async def test_a_refused_credential_of_ours_is_never_an_answer(stage: Stage) -> None:
    stage.route(stage.target("a", "401 sign=own_credential_refused stream=secret", protocol="openai"))
    answers = [await stage.call(), await stage.call()]
    assert [(answer.status, answer.label) for answer in answers] == [(502, "upstream_auth_failed")] * 2
    assert stage.transcript.of(" > ") == ["0 > a"], "the second call found it resting"
