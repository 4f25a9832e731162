"""Calls of each kind, from a caller through the sidecar to a server and back: nothing is added, lost or held back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.kit.rpc import echo, fail, says
from tests.kit.rpc_caller import METHOD, ask, ask_unary, opened, relayed, told

if TYPE_CHECKING:
    from tests.kit.rpc import Talk

UNARY = f'unary = ["{METHOD[1:]}"]'
KNOWN = pytest.mark.parametrize("known", [UNARY, ""], ids=["known-unary", "unknown"])
LARGE = 10 << 20
ANY_SIZE = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


@pytest.mark.both_loops
@KNOWN
async def test_unary(known: str) -> None:
    async with relayed(echo, upstream=known) as on:
        for number in range(3):
            answer = await ask_unary(on.channel, b"%d" % number)
            assert answer.short == ("OK", [b"%d" % number])
        assert [seen.messages for seen in on.service.seen] == [[b"0"], [b"1"], [b"2"]]


@KNOWN
async def test_a_unary_call_s_status_comes_through_as_it_is(known: str) -> None:
    service_says = fail("NOT_FOUND", "no such thing: später ☂", (("why", "a"), ("why-bin", b"\x00\xff")))
    async with relayed(service_says, upstream=known) as on:
        answer = await ask_unary(on.channel)
    assert (answer.code, answer.text) == ("NOT_FOUND", "no such thing: später ☂")
    assert answer.own(answer.trailers) == (("why", "a"), ("why-bin", b"\x00\xff"))
    assert answer.field("x-sidecar-error-category") == "invalid_request"


@pytest.mark.both_loops
async def test_a_server_s_stream() -> None:
    numbers = [b"%d" % number for number in range(200)]
    async with relayed(says(*numbers)) as on:
        answer = await ask(on.channel, b"all, please")
    assert answer.short == ("OK", numbers)
    assert on.service.seen[0].messages == [b"all, please"]


@pytest.mark.both_loops
async def test_a_client_s_stream() -> None:
    async def count(talk: Talk) -> None:
        await talk.take_all()
        await talk.say(b"%d" % len(talk.seen.messages))

    numbers = [b"%d" % number for number in range(200)]
    async with relayed(count) as on:
        assert (await ask(on.channel, *numbers)).short == ("OK", [b"200"])
    assert on.service.seen[0].messages == numbers


@pytest.mark.both_loops
async def test_both_in_turn() -> None:
    async with relayed(echo) as on:
        rpc = opened(on.channel)
        for number in range(50):
            await rpc.write(b"%d" % number)
            assert await rpc.read() == b"%d" % number
        await rpc.done_writing()
        assert (await told(rpc)).short == ("OK", [])


async def test_a_server_that_speaks_first_is_heard_at_once() -> None:
    async def greet(talk: Talk) -> None:
        await talk.say(b"who is there?")
        await echo(talk)

    async with relayed(greet) as on:
        rpc = opened(on.channel)
        assert await rpc.read() == b"who is there?"
        await rpc.write(b"me")
        assert await rpc.read() == b"me"
        await rpc.done_writing()
        assert (await told(rpc)).short == ("OK", [])


async def test_a_server_s_initial_metadata_come_before_it_says_anything() -> None:
    go_on = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.context.send_initial_metadata((("ready", "yes"),))
        await go_on.wait()
        await talk.say(b"now")

    async with relayed(slow) as on:
        rpc = opened(on.channel)
        assert ("ready", "yes") in tuple(await rpc.initial_metadata())
        go_on.set()
        assert (await told(rpc)).short == ("OK", [b"now"])
        await rpc.done_writing()


async def test_empty_initial_metadata_of_a_stream_come_before_it_says_anything() -> None:
    """They might belong to a status alone; a moment later it is known that they do not."""
    go_on = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.context.send_initial_metadata(())
        await go_on.wait()
        await talk.say(b"now")

    async with relayed(slow) as on:
        rpc = opened(on.channel)
        assert ("x-sidecar-upstream", "a") in tuple(await rpc.initial_metadata())
        go_on.set()
        assert (await told(rpc)).short == ("OK", [b"now"])


async def test_the_caller_s_end_is_told_on_and_not_before_it_comes() -> None:
    ended = asyncio.Event()

    async def waits(talk: Talk) -> None:
        await talk.say(b"go on")
        await talk.take_all()
        ended.set()
        await talk.say(b"bye")

    async with relayed(waits) as on:
        rpc = opened(on.channel)
        await rpc.write(b"1")
        assert await rpc.read() == b"go on"
        assert not ended.is_set()
        await rpc.done_writing()
        assert (await told(rpc)).short == ("OK", [b"bye"])


async def test_a_server_may_end_before_its_caller_does() -> None:
    async def enough(talk: Talk) -> None:
        await talk.take()
        await talk.say(b"enough")

    async with relayed(enough) as on:
        rpc = opened(on.channel)
        await rpc.write(b"1")
        assert (await told(rpc)).short == ("OK", [b"enough"])


@KNOWN
async def test_empty_messages_are_messages(known: str) -> None:
    async with relayed(echo, upstream=known) as on:
        assert (await ask_unary(on.channel, b"")).short == ("OK", [b""])
        if not known:
            assert (await ask(on.channel, b"", b"a", b"")).short == ("OK", [b"", b"a", b""])
            assert on.service.seen[-1].messages == [b"", b"a", b""]
            assert (await ask(on.channel)).short == ("OK", [])


@KNOWN
async def test_ten_mebibytes_are_a_message(known: str) -> None:
    message = bytes(range(256)) * (LARGE // 256)
    async with relayed(echo, upstream=known, options=ANY_SIZE) as on:
        assert (await ask_unary(on.channel, message)).short == ("OK", [message])
        if not known:
            assert (await ask(on.channel, message, message)).short == ("OK", [message, message])


async def test_metadata_go_both_ways_with_their_order_and_their_bytes() -> None:
    asked = (("a", "1"), ("b-bin", b"\x00\x01\xff"), ("a", "2"), ("c", "x, y"), ("b-bin", b""))
    initial = (("s", "1"), ("t-bin", b"\xff\xfe"), ("s", "2"))
    trailers = (("z", "1"), ("y-bin", b"\x00"), ("z", "2"))
    behaviour = says(b"m", initial=initial, trailers=trailers)
    async with relayed(behaviour) as on:
        answer = await ask(on.channel, b"q", metadata=asked)
    names = {name for name, _ in asked}
    sent = tuple((name, value) for name, value in on.service.seen[0].metadata if name in names)
    assert sorted(sent, key=_name) == sorted(asked, key=_name)  # of one name; names among each other have no order
    assert sorted(answer.own(answer.initial), key=_name) == sorted(initial, key=_name)
    assert sorted(answer.own(answer.trailers), key=_name) == sorted(trailers, key=_name)


def _name(pair: tuple[str, Any]) -> str:
    return pair[0]


async def test_details_of_a_status_come_through_byte_for_byte() -> None:
    details = bytes(range(256))
    behaviour = fail("FAILED_PRECONDITION", "no", (("grpc-status-details-bin", details),))
    async with relayed(behaviour) as on:
        for answer in (await ask_unary(on.channel), await ask(on.channel, b"a", b"b")):
            assert (answer.code, answer.text) == ("FAILED_PRECONDITION", "no")
            assert answer.field("grpc-status-details-bin") == details


async def test_every_status_that_is_an_answer_comes_through() -> None:
    codes = [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    behaviours = [fail(code, f"it is {code}") for code in codes]
    async with relayed(*behaviours, upstream="circuit_breaker = false") as on:
        for code in codes:
            answer = await ask(on.channel, b"q", metadata=(("x-sidecar-retry", "off"),))
            assert (answer.code, answer.text) == (code, f"it is {code}")


async def test_the_synchronous_client_in_a_thread() -> None:
    def calls(address: str) -> tuple[Any, ...]:
        with grpc.insecure_channel(address) as untyped:
            channel: Any = untyped
            unary = channel.unary_unary(METHOD)(b"1", timeout=20)
            served = list(channel.unary_stream(METHOD)(b"2", timeout=20))
            sent = channel.stream_unary(METHOD)(iter([b"3"]), timeout=20)
            both = list(channel.stream_stream(METHOD)(iter([b"4", b"5"]), timeout=20))
            return unary, served, sent, both

    async with relayed(echo) as on:
        heard = await asyncio.to_thread(calls, on.sidecar.daemon.addresses["grpc"])
    assert heard == (b"1", [b"2"], b"3", [b"4", b"5"])
