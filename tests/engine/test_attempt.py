"""What an attempt tells: the breaker at evidence and when a stream breaks, the addresses, the observers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.kit.stage import a_call

if TYPE_CHECKING:
    from tests.kit.stage import Stage

pytestmark = pytest.mark.virtual_time

ONE = {"failure_threshold": 1}


async def test_the_breaker_is_told_at_evidence_not_at_the_end(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", "ok stream=x,y every=60s", breaker=ONE, tries=1))
    await stage.call()
    await stage.until(10)
    await stage.call()
    assert stage.transcript.of(" is ") == ["0 a is open", "10 a is half_open", "10 a is closed"]
    assert stage.now == 130.0


async def test_a_stream_that_breaks_is_told_again_and_never_repeated(stage: Stage) -> None:
    stage.route(stage.target("a", "ok stream=x,y every=5s cut", breaker=ONE), stage.target("b"))
    answer = await stage.call()
    assert (answer.status, answer.body, answer.broke) == (200, b"xy", True)
    assert stage.lines == ["0 > a", "10 a is open", "10 a: broke", "10 r = broke 200"]


async def test_a_stream_that_breaks_without_a_breaker(stage: Stage) -> None:
    stage.route(stage.target("a", "ok stream=x cut"))
    assert (await stage.call()).broke
    assert stage.lines[-1] == "0 r = broke 200"


async def test_a_break_is_told_to_the_breaker_of_that_target_alone(stage: Stage) -> None:
    a = stage.target("a", "400 sign=context_length", breaker=ONE, protocol="openai")
    stage.route(a, stage.target("b", "ok stream=x cut"))
    assert (await stage.call()).broke
    assert stage.transcript.of(" is ") == []


async def test_an_open_breaker_is_asked_by_one_probe_at_a_time(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", "ok after=2s", breaker=ONE, tries=1))
    await stage.call()
    await stage.until(10)
    first, second = await asyncio.gather(stage.call(), stage.call())
    assert (first.status, second.label) == (200, "circuit_open")


async def test_an_answer_to_a_call_of_an_earlier_era_moves_nothing(stage: Stage) -> None:
    stage.route(stage.target("a", "reset after=12s", "reset", "ok", breaker=ONE, tries=1))
    early = stage.calling()
    await stage.until(1)
    await stage.call()
    await stage.until(11)
    assert (await stage.call()).status == 200
    assert (await early).label == "upstream_reset"
    assert stage.transcript.of(" is ") == ["1 a is open", "11 a is half_open", "11 a is closed"]


async def test_what_is_the_callers_mistake_is_a_success_of_the_target(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", "404", breaker=ONE, tries=1))
    await stage.call()
    await stage.until(10)
    await stage.call()
    assert stage.lines[-3:] == ["10 a is closed", "10 a: client_error", "10 r = client_error 404"]


async def test_what_says_nothing_of_the_target_gives_the_probe_back(stage: Stage) -> None:
    stage.route(stage.target("a", "reset", "429", "ok", breaker=ONE, tries=1))
    await stage.call()
    await stage.until(10)
    assert [(await stage.call()).status for _ in range(2)] == [429, 200]


async def test_a_slow_success_is_a_failure(stage: Stage) -> None:
    stage.route(stage.target("a", "ok after=3s", breaker={**ONE, "slow_call": 2}))
    assert (await stage.call()).status == 200
    assert stage.lines == ["0 > a", "3 a is open", "3 a: ok", "3 r = ok 200"]


async def test_a_retry_takes_another_address(stage: Stage) -> None:
    stage.route(stage.target("a", "503", "ok", addresses=2))
    await stage.call()
    assert stage.upstreams["a"].addresses == [0, 1]


async def test_the_next_target_has_addresses_of_its_own(stage: Stage) -> None:
    stage.route(stage.target("a", "503", addresses=2, tries=2), stage.target("b"))
    assert (await stage.call()).status == 200
    assert (stage.upstreams["a"].addresses, stage.upstreams["b"].addresses) == ([0, 1], [0])


async def test_the_breaker_hears_a_failure_only_when_most_addresses_are_aside(stage: Stage) -> None:
    stage.route(stage.target("a", "503", addresses=3, breaker=ONE, tries=1))
    opened_after = 0
    while not stage.transcript.of(" is open"):
        await stage.call()
        opened_after += 1
        assert opened_after < 20, "it never opens"
    aside = [shown["failures"] for shown in stage.targets["a"].service.addresses.snapshot()]  # type: ignore[union-attr]
    assert sorted(aside) == [0, 3, 3]  # type: ignore[type-var]  # they are numbers


async def test_an_address_that_answers_is_well_again(stage: Stage) -> None:
    stage.route(stage.target("a", "503", "503", "ok", addresses=2, breaker=ONE, tries=3))
    await stage.call()
    addresses = stage.targets["a"].service.addresses
    assert addresses is not None
    assert [shown["failures"] for shown in addresses.snapshot()] == [0, 1]


async def test_an_address_is_busy_until_the_reply_has_ended(stage: Stage) -> None:
    stage.route(stage.target("a", "ok stream=x,y every=1s", addresses=2))
    calling = stage.calling()
    await stage.until(1.5)
    addresses = stage.targets["a"].service.addresses
    assert addresses is not None
    assert [shown["inflight"] for shown in addresses.snapshot()] == [1, 0]
    await calling


async def test_everything_is_told_once_though_the_listener_ends_twice(stage: Stage) -> None:
    stage.route(stage.target("a"))
    exchange = stage.engine.exchange(a_call(started=stage.clock()))
    await exchange.__aenter__()
    await exchange.__aexit__(None, None, None)
    await exchange.__aexit__(None, None, None)
    assert len(stage.transcript.of(" r = ")) == 1
