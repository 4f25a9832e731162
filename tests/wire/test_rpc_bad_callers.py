"""Callers that speak HTTP/2 or gRPC wrongly, or stop in the middle: they hurt nobody but themselves."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kit.caller import PATIENCE
from tests.kit.h2_peer import framed, h2_connected
from tests.kit.rpc import echo, hang
from tests.kit.rpc_caller import METHOD, Relay, ask, relayed
from tests.kit.running import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.kit.h2_peer import Field, H2Peer, H2Stream
    from tests.kit.rpc import Behaviour, Talk

UNARY = f'unary = ["{METHOD[1:]}"]'
BOUNDED = 100_000_000
"""Bytes. C-core sizes its windows by what it measures of the connection, and Linux its sockets' buffers (up to 32 MiB
each): 4 to 21 MB were seen in one and the same test. What matters is that it comes to rest."""
KNOWN = pytest.mark.parametrize("known", [UNARY, ""], ids=["known-unary", "unknown"])


@asynccontextmanager
async def met(*behaviours: Behaviour, upstream: str = "") -> AsyncIterator[tuple[Relay, H2Peer]]:
    """A sidecar, and a caller that writes frames; at the end another caller is served as ever, and nothing is left."""
    async with relayed(*(behaviours or (echo,)), upstream=upstream) as on:
        async with h2_connected(on.sidecar.daemon.addresses["grpc"]) as peer:
            yield on, peer
        on.service.behaviours[:] = [echo]
        assert (await ask(on.channel, b"well")).short == ("OK", [b"well"])
        listening = on.sidecar.daemon._listening
        assert listening is not None
        await until(lambda: listening.rpcs == 0)


async def test_frames_by_hand_are_a_call() -> None:
    async with met() as (_, peer):
        stream = peer.open(METHOD)
        stream.say(b"1")
        assert await stream.message() == b"1"
        stream.say(b"", end=True)
        assert (await stream.message(), await stream.message()) == (b"", None)
        assert stream.field("grpc-status") == "0"


@KNOWN
@pytest.mark.parametrize("asked", ["0n", "1n", "1u"])
async def test_a_deadline_that_has_passed(known: str, asked: str) -> None:
    async with met(upstream=known) as (on, peer):
        stream = peer.open(METHOD, ("grpc-timeout", asked))
        with contextlib.suppress(Exception):  # the answer may be faster
            stream.say(b"1", end=True)
        await stream.ended()
        assert stream.reset_code is not None or stream.field("grpc-status") in ("4", "1", "0")
        if asked == "0n":  # C-core makes a millisecond of the others, which may be enough
            assert [seen.messages for seen in on.service.seen] in ([], [[]])


@pytest.mark.parametrize("asked", ["", "1", "x", "-1S", "999999999S", "1Q"])
async def test_a_deadline_that_is_none(asked: str) -> None:
    async with met() as (_, peer):
        stream = peer.open(METHOD, ("grpc-timeout", asked))
        stream.say(b"1", end=True)
        await stream.ended()
        assert stream.field("grpc-status") in ("0", "13", "4", None)


HEAD: tuple[Field, ...] = ((":method", "POST"), (":scheme", "http"), (":path", METHOD), (":authority", "a"))
GRPC = ("content-type", "application/grpc")
TE = ("te", "trailers")


@pytest.mark.parametrize(
    "head",
    [
        (*HEAD, TE, ("content-type", "text/html")),
        ((":method", "GET"), *HEAD[1:], TE, GRPC),
        (*HEAD[:2], (":path", ""), TE, GRPC),
        (*HEAD[:2], (":path", "no slash"), TE, GRPC),
        (*HEAD[:2], (":authority", "a"), TE, GRPC),
        (*HEAD, TE, GRPC, ("Upper", "case")),
        (*HEAD, TE, GRPC, ("connection", "close")),
        (*HEAD, TE, GRPC, ("bad-bin", "!!!")),
        (*HEAD, TE, GRPC, ("a", "x\0y")),
    ],
    ids=["html", "GET", "no path", "odd path", "path missing", "upper case", "connection", "bad base64", "control"],
)
async def test_a_head_that_is_no_call(head: tuple[Field, ...]) -> None:
    async with met() as (on, peer):
        stream = peer.open("", head=head)
        with contextlib.suppress(Exception):  # the answer may be faster
            stream.say(b"1", end=True)
        await stream.ended()
        status = stream.field("grpc-status"), stream.field(":status"), stream.reset_code
        assert len(on.service.seen) == 0 or status[0] in ("0", "13"), status


@KNOWN
@pytest.mark.parametrize("value", ["später", "a\tb", "a\x7fb", "\x01"])
async def test_metadata_that_cannot_be_sent_on(known: str, value: str) -> None:
    """C-core reads such values but sends none; the server's breaker hears nothing of it."""
    async with met(upstream=known) as (on, peer):
        stream = peer.open(METHOD, ("note", value))
        stream.say(b"1", end=True)
        await stream.ended()
        assert stream.field("grpc-status") == "13"
        assert stream.field("grpc-message") == "the value of the metadata note is not printable ASCII"
        assert on.service.seen == []
        assert on.sidecar.runtime.breakers()["a"].snapshot()["recent_failures"] == 0


async def test_bytes_that_are_no_http_2() -> None:
    async with met() as (on, peer):
        peer.write(b"\xff" * 100)
        async with asyncio.timeout(PATIENCE):
            await peer.ended.wait()
        assert on.service.seen == []


async def test_a_unary_call_without_a_message_waits_for_its_own_deadline() -> None:
    """Grpcio says nothing to it; no handler of ours is asked, and the caller's deadline ends it."""
    async with met(upstream=UNARY) as (on, peer):
        stream = peer.open(METHOD, ("grpc-timeout", "100m"), end=True)
        await stream.ended()
        assert stream.field("grpc-status") in ("4", None)
        assert on.service.seen == []


async def test_a_unary_call_with_two_messages_passes_the_first() -> None:
    async with met(upstream=UNARY) as (on, peer):
        stream = peer.open(METHOD)
        stream.say(b"1")
        stream.say(b"2", end=True)
        assert await stream.message() == b"1"
        await stream.ended()
        assert on.service.seen[0].messages == [b"1"]


@KNOWN
@pytest.mark.parametrize("data", [framed(b"half")[:-2], b"\0\0"], ids=["half a message", "half a frame"])
async def test_a_message_that_stops_is_none(known: str, data: bytes) -> None:
    async with met(upstream=known) as (on, peer):
        stream = peer.open(METHOD, ("grpc-timeout", "200m"))
        stream.raw(data, end=True)
        await stream.ended()
        assert [seen.messages for seen in on.service.seen] in ([], [[]])


@pytest.mark.parametrize("code", [0, 2, 7, 8, 11])
@KNOWN
async def test_a_caller_that_resets_leaves_its_server(known: str, code: int) -> None:
    async with met(hang, upstream=known) as (on, peer):
        stream = peer.open(METHOD, ("x-request-id", "r"))
        stream.say(b"1", end=True)
        seen = await on.service.call()
        stream.reset(code)
        async with asyncio.timeout(PATIENCE):
            await seen.cancelled.wait()
        assert (await on.sidecar.log.call("r"))["outcome"] == "caller_left"


@pytest.mark.parametrize("half", [framed(b"half")[:-2], b""])
async def test_a_caller_that_is_cut_in_its_stream_leaves_its_server(half: bytes) -> None:
    async with met(hang) as (on, peer):
        stream = peer.open(METHOD, ("x-request-id", "r"))
        stream.raw(framed(b"1") + half)
        seen = await on.service.call()
        await until(lambda: seen.messages == [b"1"])
        peer.cut()
        async with asyncio.timeout(PATIENCE):
            await seen.cancelled.wait()
        assert (await on.sidecar.log.call("r"))["outcome"] == "caller_left"


async def test_a_caller_that_stops_reading_holds_its_server_back() -> None:
    """What the sidecar and both sockets take is bounded, however much the server has to say."""
    told = 0

    async def endless(talk: Talk) -> None:
        nonlocal told
        while True:
            await talk.say(b"x" * 100_000)
            told += 1

    async with met(endless) as (on, peer):
        peer.reading = False
        stream = peer.open(METHOD)
        stream.say(b"go")
        await stream.head()
        assert await at_rest(lambda: told * 100_000) < BOUNDED
        stream.reset(8)
        async with asyncio.timeout(PATIENCE):
            await on.service.seen[0].cancelled.wait()


async def test_a_server_that_stops_reading_holds_its_caller_back() -> None:
    sent = 0

    async def deaf(talk: Talk) -> None:
        await talk.take()
        await asyncio.Event().wait()

    async def send(stream: H2Stream) -> None:
        nonlocal sent
        while True:
            await stream.say_all(b"x" * 100_000)
            sent += 1

    async with met(deaf) as (on, peer):
        stream = peer.open(METHOD, ("x-request-id", "r"))
        sending = asyncio.create_task(send(stream))
        assert await at_rest(lambda: sent * 100_000) < BOUNDED
        sending.cancel()
        stream.reset(8)
        assert (await on.sidecar.log.call("r"))["outcome"] == "caller_left"


async def at_rest(size: Callable[[], int]) -> int:
    """What it comes to when it grows no more."""
    before = 0
    while not before or before < size():
        before = size()
        await asyncio.sleep(0.2)
    return before


async def test_many_streams_of_one_caller_end_with_its_connection() -> None:
    async with met(hang) as (on, peer):
        for _ in range(100):
            peer.open(METHOD).say(b"1")
        await on.service.call(100)
        peer.cut()
        async with asyncio.timeout(PATIENCE):
            for seen in on.service.seen:
                await seen.cancelled.wait()
