"""Deadlines and leaving, both ways: who waits how long, and that nobody works for someone who has gone."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.caller import PATIENCE
from tests.kit.h2_peer import h2_connected
from tests.kit.rpc import channel_to, echo, hang, routed
from tests.kit.rpc_caller import METHOD, ask, ask_unary, opened, opened_unary, relayed, told
from tests.kit.running import running, until

if TYPE_CHECKING:
    from tests.kit.rpc import Talk

UNARY = f'unary = ["{METHOD[1:]}"]'
PASSES = 1.5
"""Seconds of a deadline that passes, but not before the call has reached its server, also where a machine pauses."""
PASSING = ("grpc-timeout", f"{PASSES * 1000:.0f}m")
DEADLINE_EXCEEDED = "4"
KNOWN = pytest.mark.parametrize("known", [UNARY, ""], ids=["known-unary", "unknown"])


@KNOWN
async def test_what_is_left_of_a_deadline_is_told_on(known: str) -> None:
    async with relayed(echo, upstream=known) as on:
        assert (await ask_unary(on.channel, seconds=90)).code == "OK"
    left = on.service.seen[0].seconds_left
    assert left is not None
    assert 90 - PATIENCE < left < 91  # grpcio rounds up, to three digits


@KNOWN
async def test_who_sets_no_deadline_has_none(known: str) -> None:
    async with relayed(echo, upstream=known) as on:
        assert (await ask_unary(on.channel, seconds=None)).code == "OK"
    assert on.service.seen[0].seconds_left is None


async def test_a_route_s_deadline_is_told_on_for_unary_calls() -> None:
    """For a stream it counts until evidence only, so that it cannot be the server's."""
    async with relayed(echo, upstream=UNARY, route='deadline = "90s"') as on:
        await ask_unary(on.channel, seconds=None)
        await ask_unary(on.channel, method="/p.S/Other", seconds=None)
    left = on.service.seen[0].seconds_left
    assert left is not None
    assert 90 - PATIENCE < left < 91
    assert on.service.seen[1].seconds_left is None


@KNOWN
async def test_a_deadline_that_passes_ends_both_sides(known: str) -> None:
    """The caller leaves it to us, as does the next test's.

    One of grpcio's cancels its call, too, and that comes early where the machine paused while the call was on its way:
    nothing tells it from one that has left.
    """
    async with relayed(hang, upstream=known) as on, h2_connected(on.sidecar.grpc) as caller:
        stream = caller.open(METHOD, PASSING, ("x-request-id", "late"))
        stream.say(b"1", end=True)
        await stream.ended()
        assert stream.field("grpc-status") == DEADLINE_EXCEEDED
        async with asyncio.timeout(PATIENCE):
            await (await on.service.call()).cancelled.wait()
        line = await on.sidecar.log.call("late")
        assert len(on.service.seen) == 1
        assert (line["outcome"], line["grpc_code"]) == ("deadline_exceeded", "DEADLINE_EXCEEDED")
        assert on.sidecar.runtime.breakers()["a"].state == "closed"


async def test_a_deadline_that_passes_in_the_middle_of_a_stream_is_told_as_one() -> None:
    """To grpcio it is as if the caller had left, or as if the server had said so: whichever is first."""

    async def stops(talk: Talk) -> None:
        await talk.say(b"1")
        await asyncio.Event().wait()

    async with relayed(stops) as on, h2_connected(on.sidecar.grpc) as caller:
        late = [f"late-{number}" for number in range(20)]
        streams = [caller.open(METHOD, PASSING, ("x-request-id", name)) for name in late]
        for stream in streams:
            assert await stream.message() == b"1"
        for name, stream in zip(late, streams, strict=True):
            await stream.ended()
            assert stream.field("grpc-status") == DEADLINE_EXCEEDED
            line = await on.sidecar.log.call(name)
            assert (line["outcome"], line["grpc_code"]) == ("deadline_exceeded", "DEADLINE_EXCEEDED")
        assert on.sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0


@KNOWN
@pytest.mark.parametrize("how", ["deadline", "x-sidecar-timeout"])
async def test_a_deadline_of_the_route_or_of_the_caller_s_wish_is_told_by_the_sidecar(known: str, how: str) -> None:
    route, metadata = (f'deadline = "{PASSES}s"', ()) if how == "deadline" else ("", ((how, f"{PASSES}s"),))
    async with relayed(hang, upstream=known, route=route) as on:
        began = time.monotonic()
        answer = await ask_unary(on.channel, metadata=metadata)
        assert answer.code == "DEADLINE_EXCEEDED"
        assert time.monotonic() - began > 0.9 * PASSES
        assert answer.field("x-sidecar-upstream") == "a"
        async with asyncio.timeout(PATIENCE):
            await (await on.service.call()).cancelled.wait()
        assert on.service.seen[0].field("x-sidecar-timeout") is None


async def test_a_wish_ends_with_the_first_sign_of_life() -> None:
    go_on = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.say(b"1")
        await go_on.wait()
        await talk.say(b"2")

    async with relayed(slow) as on:
        rpc = opened(on.channel, metadata=(("x-sidecar-timeout", f"{PASSES}s"),))
        await rpc.done_writing()
        assert await rpc.read() == b"1"
        asyncio.get_running_loop().call_later(1.2 * PASSES, go_on.set)
        assert (await told(rpc)).short == ("OK", [b"2"])


@KNOWN
async def test_a_caller_that_leaves_before_an_answer_leaves_its_server_too(known: str) -> None:
    async with relayed(hang, upstream=known) as on:
        rpc = opened_unary(on.channel, metadata=(("x-request-id", "gone"),))
        seen = await on.service.call()
        rpc.cancel()
        async with asyncio.timeout(PATIENCE):
            await seen.cancelled.wait()
        line = await on.sidecar.log.call("gone")
        assert (line["outcome"], line["attempts"]) == ("caller_left", 1)
        assert on.sidecar.runtime.breakers()["a"].state == "closed"


@pytest.mark.both_loops
async def test_a_caller_that_leaves_in_the_middle_of_a_stream_leaves_its_server_too() -> None:
    async def endless(talk: Talk) -> None:
        while True:
            await talk.say(b"more")

    async with relayed(endless) as on:
        rpc = opened(on.channel, metadata=(("x-request-id", "gone"),))
        for _ in range(3):
            assert await rpc.read() == b"more"
        rpc.cancel()
        async with asyncio.timeout(PATIENCE):
            await on.service.seen[0].cancelled.wait()
        assert (await on.sidecar.log.call("gone"))["outcome"] == "caller_left"


async def test_a_caller_whose_connection_goes_leaves_its_server_too() -> None:
    async with relayed(hang) as on:
        rpc = opened(on.channel)
        await rpc.write(b"1")
        seen = await on.service.call()
        await on.channel.close()
        async with asyncio.timeout(PATIENCE):
            await seen.cancelled.wait()
        assert rpc.cancelled()


async def test_a_server_that_cancels_is_heard_after_what_it_said() -> None:
    async def gives_up(talk: Talk) -> None:
        await talk.say(b"1")
        await talk.end("ABORTED", "I give up", (("why", "tired"),))

    async with relayed(gives_up) as on:
        rpc = opened(on.channel)
        await rpc.write(b"still here")
        answer = await told(rpc)
    assert (answer.short, answer.text, answer.field("why")) == (("ABORTED", [b"1"]), "I give up", "tired")


async def test_who_has_left_makes_no_one_try_again() -> None:
    """The attempt waits for its backoff when the caller leaves."""
    from_now_on = '[policies.default.retry]\nbackoff = "5s"'
    calls = routed("grpc://127.0.0.1:1").replace('[policies.default.retry]\nbackoff = "1ms"', from_now_on)
    async with running(calls) as sidecar, channel_to(sidecar) as channel:
        rpc = opened_unary(channel, metadata=(("x-request-id", "gone"),))
        breaker = sidecar.runtime.breakers()["a"]
        await until(lambda: breaker.snapshot()["recent_failures"] == 1)
        rpc.cancel()
        line = await sidecar.log.call("gone")
        assert (line["outcome"], line["attempts"]) == ("caller_left", 1)


async def test_a_caller_that_ends_its_stream_is_not_waited_for() -> None:
    """A half-close with nothing to read, and a status that needs none of it."""
    async with relayed(echo) as on:
        assert (await ask(on.channel)).short == ("OK", [])
        assert on.service.seen[0].messages == []
