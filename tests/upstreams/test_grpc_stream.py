"""A stream at its upstream: what a server says before it has heard everything is what the caller gets."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from tests.kit.h2_peer import h2_listening
from tests.kit.rpc import channel_to, routed
from tests.kit.rpc_caller import ask, relayed
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kit.h2_peer import H2Listening, H2Stream
    from tests.kit.rpc import Talk


def says_ok(stream: H2Stream) -> None:
    stream.headers()
    stream.say(b"enough")
    stream.trailers("OK")


def refuses(stream: H2Stream) -> None:
    stream.headers((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "16"), end=True)
    stream.reset(0)


async def answer_each(upstream: H2Listening, answer: Callable[[H2Stream], None]) -> None:
    """At the head of each call, before a message can be there."""
    peer = await upstream.accept()
    while True:
        answer(await peer.request())


@pytest.mark.parametrize(
    ("answer", "short"), [(says_ok, ("OK", [b"enough"])), (refuses, ("UNAUTHENTICATED", []))], ids=["ok", "refuses"]
)
async def test_what_a_server_says_at_the_head_of_a_call(
    answer: Callable[[H2Stream], None], short: tuple[str, list[bytes]]
) -> None:
    """Many at once: grpcio's own `write` fails in some of them, and hides the status."""
    async with h2_listening() as upstream, running(routed(upstream.url)) as sidecar, channel_to(sidecar) as channel:
        answering = asyncio.create_task(answer_each(upstream, answer))
        told = await asyncio.gather(*(ask(channel, b"1", b"2", b"3") for _ in range(50)))
        assert [each.short for each in told] == [short] * 50
        answering.cancel()


async def test_what_a_server_says_while_its_caller_goes_on_and_on() -> None:
    async def enough(talk: Talk) -> None:
        await talk.take()
        await talk.end("RESOURCE_EXHAUSTED", "no more of it")

    async with relayed(enough) as on:
        told = await asyncio.gather(*(ask(on.channel, *[b"x" * 10_000] * 50, seconds=20) for _ in range(10)))
        assert {(each.code, each.text) for each in told} == {("RESOURCE_EXHAUSTED", "no more of it")}


async def test_grpcio_has_the_name_that_sends_a_message_without_judging_it() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        rpc: Any = channel.stream_stream("/p.S/M")()
        assert inspect.iscoroutinefunction(rpc.wait_for_connection)
        assert callable(rpc._cython_call.send_serialized_message)
        rpc.cancel()
