"""Equal whole calls at the same time: one leads, the others get what it got."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.call import Facts, Reply, What
from sidecar.engine.flights import Flights
from sidecar.errors import CircuitOpen, IdempotencyMismatch, MethodNotAllowed, RateLimited, Refused
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.call import Tunnel

pytestmark = pytest.mark.virtual_time

BODY, OTHER = b"digest", b"another"


def replied(whole: bytes | None = b"{}", code: str = "") -> Reply:
    facts = Facts(What.REPLY, status=200, grpc_code=code)
    reply = Reply(200, b"OK", [(b"A", b"1")], facts, {b"a": b"1"}, whole=whole, length=2)
    reply.code, reply.message, reply.trailers = code, "all is well", [(b"t", b"2")]
    reply.ended = True
    return reply


class Theatre:
    """Callers with one key each of which makes an upstream call that takes ten seconds, or shares one."""

    def __init__(self, *landings: Reply | Refused | None) -> None:
        self.flights = Flights()
        self.landings = list(landings)
        """What comes of the upstream calls, in order."""
        self.calls = 0

    async def call(self, key: str = "k", body: bytes = BODY) -> Reply | None:
        while (flight := self.flights.join(key, body, a_call())) is not None:
            reply = await flight.reply()
            if reply is not None:
                return reply
        landing: Reply | Refused | None = None
        try:
            self.calls += 1
            await asyncio.sleep(10)
            landing = self.landings.pop(0)
        finally:
            self.flights.land(key, landing)
        if isinstance(landing, Refused):
            raise landing
        return landing

    async def start(self, count: int = 1) -> list[asyncio.Task[Reply | None]]:
        tasks = [asyncio.create_task(self.call()) for _ in range(count)]
        await asyncio.sleep(1)
        return tasks

    def over(self) -> None:
        assert len(self.flights) == 0


async def test_equal_calls_at_the_same_time_make_one_upstream_call() -> None:
    shared = replied()
    theatre = Theatre(shared)
    replies = await asyncio.gather(*await theatre.start(3))
    assert theatre.calls == 1
    for reply in replies[1:]:
        assert reply is not None
        assert reply is not shared
        assert (reply.status, reply.reason, reply.headers, reply.fields) == (200, b"OK", [(b"A", b"1")], {b"a": b"1"})
        assert (reply.whole, reply.length, reply.facts, reply.ended) == (b"{}", 2, shared.facts, True)
        assert (reply.trailers, reply.closer, reply.usage) == ([(b"t", b"2")], None, None)
        assert reply.whole is shared.whole
    assert replies[1] is not replies[2], "each has its own"
    theatre.over()


async def test_a_status_alone_is_shared_too() -> None:
    theatre = Theatre(replied(whole=None, code="NOT_FOUND"))
    _, second = await asyncio.gather(*await theatre.start(2))
    assert second is not None
    assert (second.code, second.message, second.whole) == ("NOT_FOUND", "all is well", None)


async def test_calls_one_after_another_share_nothing() -> None:
    theatre = Theatre(replied(), replied())
    await theatre.call()
    theatre.over()
    await theatre.call(body=OTHER)
    assert theatre.calls == 2
    theatre.over()


async def test_other_keys_share_nothing() -> None:
    theatre = Theatre(replied(), replied())
    await asyncio.gather(theatre.call("a"), theatre.call("b", OTHER))
    assert theatre.calls == 2


async def test_another_body_under_the_same_key_is_refused_and_harms_nobody() -> None:
    theatre = Theatre(replied())
    first, second = await theatre.start(2)
    with pytest.raises(IdempotencyMismatch, match="another body") as refused:
        await theatre.call(body=OTHER)
    assert (refused.value.http_status, refused.value.grpc_code) == (422, "FAILED_PRECONDITION")
    assert await first is not None
    assert await second is not None
    assert theatre.calls == 1


# What cannot be shared.


async def test_when_the_leader_leaves_one_of_the_others_leads() -> None:
    theatre = Theatre(replied())
    leader, *others = await theatre.start(4)
    leader.cancel()
    assert [reply.status for reply in await asyncio.gather(*others) if reply is not None] == [200] * 3
    assert theatre.calls == 2, "one that was left, and one for all others"
    theatre.over()


async def test_when_the_leader_crashes_too() -> None:
    theatre = Theatre()
    leader, other = await theatre.start(2)
    await asyncio.sleep(9.5)  # it finds no landing: a bug of its own
    theatre.landings.append(replied())
    with pytest.raises(IndexError):
        await leader
    assert await other is not None
    assert theatre.calls == 2
    theatre.over()


async def _pieces() -> AsyncIterator[bytes]:
    yield b"piece"


class _Pipe:
    async def splice(self, caller: asyncio.Transport, early: bytes) -> tuple[int, int]:
        return 0, 0


@pytest.mark.parametrize("what", ["chunks", "tunnel"])
async def test_a_reply_that_is_still_to_come_is_the_leader_s_alone(what: str) -> None:
    stream, pipe = replied(whole=None), replied(whole=None)
    stream.chunks = _pieces()
    tunnel: Tunnel = _Pipe()
    pipe.tunnel = tunnel
    whole = replied()
    theatre = Theatre(stream if what == "chunks" else pipe, whole)
    first, second, third = await asyncio.gather(*await theatre.start(3))
    assert first in (stream, pipe)
    assert second is whole
    assert third is not None
    assert (third.whole, theatre.calls) == (b"{}", 2)


# Refusals.


@pytest.mark.parametrize(
    "refusal",
    [
        CircuitOpen("Circuit breaker 'a' is OPEN", retry_after=5),
        RateLimited("full", retry_after=2, detail={"limit_per_minute": 3}),
        MethodNotAllowed("/a takes GET", allow=["GET"]),
    ],
)
async def test_a_refusal_is_shared_as_each_one_s_own(refusal: Refused) -> None:
    refusal.__cause__ = ZeroDivisionError()
    theatre = Theatre(refusal)
    results = await asyncio.gather(*await theatre.start(3), return_exceptions=True)
    assert results[0] is refusal
    for again in results[1:]:
        assert isinstance(again, type(refusal))
        assert again is not refusal
        assert (again.message, str(again), again.retry_after) == (refusal.message, str(refusal), refusal.retry_after)
        assert vars(again) == vars(refusal)
        assert again.__cause__ is None, "it is logged once"
    assert theatre.calls == 1
    theatre.over()


# Leaving.


async def test_who_leaves_harms_nobody() -> None:
    theatre = Theatre(replied())
    leader, second, third = await theatre.start(3)
    second.cancel()
    replies = await asyncio.gather(leader, second, third, return_exceptions=True)
    assert isinstance(replies[1], asyncio.CancelledError)
    assert [isinstance(reply, Reply) for reply in replies] == [True, False, True]
    assert theatre.calls == 1
    theatre.over()


async def test_who_leaves_in_the_moment_of_landing_harms_nobody() -> None:
    flights = Flights()
    assert flights.join("k", BODY, a_call()) is None
    joined = [flights.join("k", BODY, a_call()) for _ in range(2)]
    tasks = [asyncio.create_task(flight.reply()) for flight in joined if flight is not None]
    await asyncio.sleep(0)
    tasks[0].cancel()
    flights.land("k", replied())
    assert [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)] == [
        asyncio.CancelledError,
        Reply,
    ]


async def test_those_who_left_are_not_kept() -> None:
    flights = Flights()
    flights.join("k", BODY, a_call())
    for _ in range(100):
        flight = flights.join("k", BODY, a_call())
        assert flight is not None
        leaving = asyncio.create_task(flight.reply())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
    assert len(flights._entries["k"].waiting) == 0
    flights.land("k", None)
    assert len(flights) == 0


async def test_a_reply_that_landed_before_it_was_awaited_is_given() -> None:
    flights = Flights()
    flights.join("k", BODY, a_call())
    flight = flights.join("k", BODY, a_call())
    assert flight is not None
    flights.land("k", replied())
    reply = await flight.reply()
    assert reply is not None
    assert reply.whole == b"{}"
