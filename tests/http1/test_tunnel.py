"""Bytes both ways, each end carried over, and no more held than the transports do."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from sidecar.http1.connect import tls_context
from sidecar.http1.tunnel import splice
from tests.kit.certificates import make_certificates
from tests.kit.peer import Peer, listening

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.both_loops

MIB = 1 << 20


@dataclass
class Tunnel:
    """`caller` and `upstream` are the far ends; `splicing` ends with the counts."""

    caller: Peer
    upstream: Peer
    splicing: asyncio.Task[tuple[int, int]]


@contextlib.asynccontextmanager
async def tunnel(
    from_caller: bytes = b"", from_upstream: bytes = b"", *, server: ssl.SSLContext | None = None, ca: str = ""
) -> AsyncIterator[Tunnel]:
    loop = asyncio.get_running_loop()
    async with listening() as callers, listening(context=server) as upstreams:
        near, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", callers.port)
        context = tls_context(ca=ca) if ca else None
        far, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", upstreams.port, ssl=context)
        near.pause_reading()
        far.pause_reading()
        splicing = asyncio.create_task(splice(near, from_caller, far, from_upstream))
        yield Tunnel(await callers.accept(), await upstreams.accept(), splicing)
        splicing.cancel()
        await asyncio.gather(splicing, return_exceptions=True)
        await asyncio.sleep(0)


async def test_bytes_go_both_ways_and_are_counted() -> None:
    async with tunnel() as ends:
        ends.caller.say(b"ping")
        assert await ends.upstream.receive(4) == b"ping"
        ends.upstream.say(b"pong!")
        assert await ends.caller.receive(5) == b"pong!"
        ends.caller.end()
        assert await ends.upstream.ended()
        ends.upstream.end()
        assert await ends.splicing == (4, 5)


async def test_what_was_read_before_goes_first() -> None:
    async with tunnel(b"early ", b"bird ") as ends:
        ends.caller.say(b"one")
        ends.upstream.say(b"two")
        assert await ends.upstream.receive(9) == b"early one"
        assert await ends.caller.receive(8) == b"bird two"
        ends.upstream.end()
        assert await ends.caller.ended()
        ends.caller.end()
        assert await ends.splicing == (9, 8)


@pytest.mark.parametrize("first", ["caller", "upstream"])
async def test_an_end_is_carried_over_while_the_other_way_goes_on(first: str) -> None:
    async with tunnel() as ends:
        one, two = (ends.caller, ends.upstream) if first == "caller" else (ends.upstream, ends.caller)
        one.say(b"last words")
        one.writer.write_eof()
        assert await two.reader.read() == b"last words"
        two.say(b"an answer")
        assert await one.receive(9) == b"an answer"
        two.say(b"x" * MIB)
        two.end()
        assert await one.reader.read() == b"x" * MIB
        counts = await ends.splicing
        assert sorted(counts) == [10, 9 + MIB]


@pytest.mark.parametrize("first", ["caller", "upstream"])
async def test_a_reset_of_one_side_ends_the_other(first: str) -> None:
    async with tunnel() as ends:
        one, two = (ends.caller, ends.upstream) if first == "caller" else (ends.upstream, ends.caller)
        one.reset()
        assert await two.ended()
        assert await ends.splicing == (0, 0)


async def test_a_cancelled_tunnel_ends_both_sides() -> None:
    async with tunnel() as ends:
        ends.caller.say(b"ping")
        assert await ends.upstream.receive(4) == b"ping"
        ends.splicing.cancel()
        assert await ends.caller.ended()
        assert await ends.upstream.ended()


async def test_a_side_that_reads_slowly_pauses_the_other() -> None:
    async with tunnel() as ends:

        async def pour() -> None:
            for _ in range(64):
                ends.caller.say(b"x" * MIB)
                await ends.caller.writer.drain()
            ends.caller.end()

        pouring = asyncio.create_task(pour())
        await asyncio.wait({pouring}, timeout=0.3)
        assert not pouring.done()
        size = 0
        while piece := await ends.upstream.reader.read(MIB):
            size += len(piece)
        assert size == 64 * MIB
        await pouring
        ends.upstream.end()
        assert await ends.splicing == (64 * MIB, 0)


async def test_a_side_that_ended_before_still_says_what_it_had() -> None:
    loop = asyncio.get_running_loop()
    async with listening() as callers, listening() as upstreams:
        near, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", callers.port)
        far, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", upstreams.port)
        caller = await callers.accept()
        await upstreams.accept()
        far.abort()
        await asyncio.sleep(0)
        assert await splice(near, b"", far, b"bye") == (0, 3)
        assert await caller.reader.read() == b"bye"


async def test_tls_on_one_side(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    async with tunnel(server=certificates.server(), ca=certificates.ca) as ends:
        ends.caller.say(b"ping")
        assert await ends.upstream.receive(4) == b"ping"
        ends.upstream.say(b"x" * MIB)
        assert await ends.caller.receive(MIB) == b"x" * MIB
        ends.caller.end()
        assert await ends.upstream.ended()
        assert await ends.splicing == (4, MIB)
