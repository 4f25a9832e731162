"""Streams whose two sides overlap: sent again while the caller goes on, silent for long, answered early."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from tests.kit.caller import PATIENCE
from tests.kit.rpc import channel_to, echo, fail, routed, rpc_service
from tests.kit.rpc_caller import ask, opened, relayed, told
from tests.kit.running import running

if TYPE_CHECKING:
    from tests.kit.rpc import Talk

IDEMPOTENT = "idempotent = true"
NAMED = sorted(("shop.Orders", reflection.SERVICE_NAME))


async def test_a_stream_is_sent_again_while_its_caller_goes_on() -> None:
    refused = asyncio.Event()

    async def refuses(talk: Talk) -> None:
        await talk.take()
        refused.set()
        await talk.end("UNAVAILABLE")

    async with relayed(refuses, echo, route=IDEMPOTENT) as on:
        rpc = opened(on.channel)
        await rpc.write(b"1")
        await refused.wait()
        assert await rpc.read() == b"1"  # the second server's
        for message in (b"2", b"3"):
            await rpc.write(message)
            assert await rpc.read() == message
        await rpc.done_writing()
        answer = await told(rpc)
        assert (answer.short, answer.attempts) == (("OK", []), "2")
        assert on.service.seen[1].messages == [b"1", b"2", b"3"]


async def test_a_stream_whose_caller_is_silent_goes_to_the_next_target() -> None:
    """The failed attempt waits for a message; the one after it gets that message, whole."""

    async def refuses(talk: Talk) -> None:
        await talk.end("UNAVAILABLE")

    async with rpc_service(refuses) as first, rpc_service(echo) as second:
        policy = routed(first.url, second.url, route=IDEMPOTENT)
        async with running(policy) as sidecar, channel_to(sidecar) as channel:
            rpc = opened(channel)
            await rpc.wait_for_connection()
            await second.call()
            await rpc.write(b"late")
            assert await rpc.read() == b"late"
            await rpc.done_writing()
            assert (await told(rpc)).field("x-sidecar-upstream") == "b"
            assert second.seen[0].messages == [b"late"]


async def test_streams_at_once_do_not_mix() -> None:
    async with relayed(fail("UNAVAILABLE"), fail("UNAVAILABLE"), echo, route=IDEMPOTENT) as on:

        async def one(number: int) -> None:
            messages = [b"%d/%d" % (number, at) for at in range(20)]
            assert (await ask(on.channel, *messages)).short == ("OK", messages)

        await asyncio.gather(*(one(number) for number in range(50)))


async def test_a_stream_that_is_silent_for_too_long_is_broken_and_its_server_left() -> None:
    async def stops(talk: Talk) -> None:
        await talk.say(b"1")
        await asyncio.Event().wait()

    async with relayed(stops, upstream='timeout = { idle = "150ms" }') as on:
        began = time.monotonic()
        answer = await ask(on.channel, b"go", metadata=(("x-request-id", "r"),))
        assert (answer.short, answer.text) == (("UNAVAILABLE", [b"1"]), "no message for 0.15 s")
        assert time.monotonic() - began >= 0.15
        assert (await on.sidecar.log.call("r"))["outcome"] == "broke"
        async with asyncio.timeout(PATIENCE):
            await on.service.seen[0].cancelled.wait()


async def test_a_stream_that_speaks_now_and_then_is_not_silent() -> None:
    async def slow(talk: Talk) -> None:
        for number in range(6):
            await asyncio.sleep(0.3)
            await talk.say(b"%d" % number)

    async with relayed(slow, upstream='timeout = { idle = "1500ms" }') as on:
        assert (await ask(on.channel)).short == ("OK", [b"%d" % number for number in range(6)])


async def test_a_caller_that_takes_its_time_is_no_silence_of_the_server() -> None:
    async def quick(talk: Talk) -> None:
        for _ in range(200):
            await talk.say(b"x" * 50_000)

    async with relayed(quick, upstream='timeout = { idle = "1500ms" }') as on:
        rpc = opened(on.channel)
        await rpc.done_writing()
        assert await rpc.read() == b"x" * 50_000
        await asyncio.sleep(1.6)
        assert (await told(rpc)).short == ("OK", [b"x" * 50_000] * 199)


@pytest.mark.parametrize("pattern", ["*", "grpc.reflection.*"])
async def test_reflection_goes_where_a_route_leads_it(pattern: str) -> None:
    server = grpc.aio.server()
    untyped: Any = reflection
    untyped.enable_server_reflection(NAMED, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    policy = routed(f"grpc://127.0.0.1:{port}", pattern=pattern)
    async with running(policy) as sidecar, channel_to(sidecar) as channel:
        made: Any = reflection_pb2_grpc.ServerReflectionStub
        stub = made(channel)
        request: Any = reflection_pb2.ServerReflectionRequest
        talk = stub.ServerReflectionInfo()
        await talk.write(request(list_services=""))
        listed = await talk.read()
        assert [each.name for each in listed.list_services_response.service] == NAMED
        await talk.write(request(file_containing_symbol=reflection.SERVICE_NAME))
        described = await talk.read()
        assert described.file_descriptor_response.file_descriptor_proto
        await talk.done_writing()
        assert await talk.read() is grpc.aio.EOF
    await server.stop(None)


async def test_without_a_route_there_is_no_reflection() -> None:
    async with relayed(echo, pattern="shop.*") as on:
        answer = await ask(on.channel, method="/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        assert answer.code == "UNIMPLEMENTED"
