"""What is tried again over gRPC, for each kind of call: before the first message, and never after it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.rpc import channel_to, echo, fail, routed, rpc_service, says
from tests.kit.rpc_caller import METHOD, Told, ask, ask_unary, relayed
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import grpc.aio

    from tests.kit.rpc import Pairs, Talk

    Kind = Callable[[grpc.aio.Channel], Awaitable[Told]]

IDEMPOTENT = "idempotent = true"
UNARY = f'unary = ["{METHOD[1:]}"]'
RETRYABLE = ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"]


async def unary(channel: grpc.aio.Channel) -> Told:
    return await ask_unary(channel, b"1")


async def stream(channel: grpc.aio.Channel) -> Told:
    return await ask(channel, b"1", b"2", b"3")


async def nothing(channel: grpc.aio.Channel) -> Told:
    return await ask(channel)


KINDS = pytest.mark.parametrize(
    ("upstream", "kind", "sent"),
    [(UNARY, unary, [b"1"]), ("", unary, [b"1"]), ("", stream, [b"1", b"2", b"3"]), ("", nothing, [])],
    ids=["known unary", "unary", "stream", "no message"],
)


@KINDS
@pytest.mark.parametrize("code", RETRYABLE)
async def test_a_call_is_sent_again_whole(code: str, upstream: str, kind: Kind, sent: list[bytes]) -> None:
    async with relayed(fail(code), fail(code), echo, upstream=upstream, route=IDEMPOTENT) as on:
        answer = await kind(on.channel)
        assert (answer.short, answer.attempts) == (("OK", sent), "3")
        assert [seen.messages for seen in on.service.seen] == [sent] * 3
        before = [seen.field("grpc-previous-rpc-attempts") for seen in on.service.seen]
        assert before == [None, "1", "2"]


@KINDS
@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED"])
async def test_what_may_have_been_carried_out_is_not(code: str, upstream: str, kind: Kind, sent: list[bytes]) -> None:
    async with relayed(fail(code, "who knows"), echo, upstream=upstream) as on:
        answer = await kind(on.channel)
        assert (answer.short, answer.text, answer.attempts) == ((code, []), "who knows", "1")
        assert len(on.service.seen) == 1


@KINDS
@pytest.mark.parametrize(
    "text",
    [
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.0.0.9:1: Connection refused",
        "Stream removed (GOAWAY received; Error code: 0; Debug Text: bye)",
    ],
)
async def test_a_server_that_repeats_what_its_own_client_was_told_has_seen_the_call(
    text: str, upstream: str, kind: Kind, sent: list[bytes]
) -> None:
    async with relayed(fail("UNAVAILABLE", text), upstream=upstream) as on:
        answer = await kind(on.channel)
        assert (answer.code, answer.text, answer.attempts) == ("UNAVAILABLE", text, "1")
        assert len(on.service.seen) == 1


@pytest.mark.parametrize(
    "code", ["INTERNAL", "UNKNOWN", "DATA_LOSS", "CANCELLED", "ABORTED", "NOT_FOUND", "UNAUTHENTICATED"]
)
async def test_other_codes_are_no_reason_to_ask_the_same_server_again(code: str) -> None:
    async with relayed(fail(code, "so it is"), echo, route=IDEMPOTENT) as on:
        for kind in (unary, stream):
            on.service.seen.clear()
            assert (await kind(on.channel)).code == code
            assert len(on.service.seen) == 1


async def test_a_code_that_the_file_does_not_name_is_not_tried_again() -> None:
    policy = 'idempotent = true\nretry = { grpc_codes = ["UNAVAILABLE"] }'
    async with relayed(fail("RESOURCE_EXHAUSTED"), echo, route=policy) as on:
        assert (await unary(on.channel)).code == "RESOURCE_EXHAUSTED"


async def test_the_caller_may_say_that_it_is_safe() -> None:
    async with relayed(fail("UNAVAILABLE"), echo) as on:
        answer = await ask(on.channel, b"1", metadata=(("x-sidecar-idempotent", "true"),))
        assert (answer.short, answer.attempts) == (("OK", [b"1"]), "2")


async def test_the_last_answer_is_the_caller_s_when_all_tries_have_failed() -> None:
    trailers = (("why", "closed"), ("grpc-status-details-bin", b"\x08\x0e"))
    behaviours = fail("UNAVAILABLE", "1st"), fail("UNAVAILABLE", "2nd"), fail("UNAVAILABLE", "3rd", trailers)
    async with relayed(*behaviours, upstream="circuit_breaker = false", route=IDEMPOTENT) as on:
        for kind in (unary, stream):
            on.service.seen.clear()
            answer = await kind(on.channel)
            assert (answer.code, answer.text, answer.attempts) == ("UNAVAILABLE", "3rd", "3")
            assert answer.field("why") == "closed"
            assert answer.field("grpc-status-details-bin") == b"\x08\x0e"
            assert answer.field("x-should-retry") == "false"
            assert answer.field("x-sidecar-error-category") == "server"


@pytest.mark.parametrize("code", [*RETRYABLE, "INTERNAL"])
async def test_after_the_first_message_nothing_is_tried_again(code: str) -> None:
    async with relayed(says(b"1", b"2", then=code, trailers=(("why", "tired"),)), echo, route=IDEMPOTENT) as on:
        answer = await ask(on.channel, b"go", metadata=(("x-request-id", "cut"),))
        assert (answer.short, answer.text) == ((code, [b"1", b"2"]), "it broke")
        assert answer.field("why") == "tired"
        assert answer.attempts == "1"
        line = await on.sidecar.log.call("cut")
        assert line["outcome"] == ("client_error" if code == "RESOURCE_EXHAUSTED" else "broke")
        assert len(on.service.seen) == 1


async def test_after_initial_metadata_nothing_is_tried_again() -> None:
    async with relayed(says(then="UNAVAILABLE", initial=(("begun", "yes"),)), echo, route=IDEMPOTENT) as on:
        answer = await ask(on.channel, b"go")
        assert (answer.short, answer.field("begun")) == (("UNAVAILABLE", []), "yes")
        assert len(on.service.seen) == 1


async def test_a_wait_that_the_server_tells_is_waited_out() -> None:
    push = (("grpc-retry-pushback-ms", "150"),)
    async with relayed(fail("UNAVAILABLE", "", push), echo, route=IDEMPOTENT) as on:
        began = time.monotonic()
        assert (await stream(on.channel)).code == "OK"
        assert time.monotonic() - began >= 0.15


@pytest.mark.parametrize("push", ["-1", "soon", ""])
@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
async def test_a_server_that_forbids_another_try_is_obeyed(code: str, push: str) -> None:
    async with relayed(fail(code, "no", (("grpc-retry-pushback-ms", push),)), echo, route=IDEMPOTENT) as on:
        answer = await stream(on.channel)
        assert (answer.code, answer.text, answer.attempts) == (code, "no", "1")


async def test_the_caller_s_own_attempts_count_too() -> None:
    plain = (("grpc.enable_retries", 0),)  # else the caller's own library takes it away
    async with relayed(fail("UNAVAILABLE"), echo, route=IDEMPOTENT, options=plain) as on:
        await ask(on.channel, b"1", metadata=(("grpc-previous-rpc-attempts", "2"),))
        assert [seen.field("grpc-previous-rpc-attempts") for seen in on.service.seen] == ["2", "3"]


async def test_a_stream_that_is_longer_than_what_is_kept_is_not_sent_again() -> None:
    async def reads_much(talk: Talk) -> None:
        await talk.take_all()
        await talk.end("UNAVAILABLE", "after all that")

    route = 'idempotent = true\nretry = { replay_buffer = "4KiB" }'
    async with relayed(reads_much, echo, route=route) as on:
        answer = await ask(on.channel, *[b"x" * 1000] * 10)
        assert (answer.code, answer.text, answer.attempts) == ("UNAVAILABLE", "after all that", "1")
        assert answer.field("x-sidecar-replay") == "off"
        assert on.service.seen[0].messages == [b"x" * 1000] * 10
        on.service.seen.clear()
        short = await ask(on.channel, *[b"x" * 1000] * 3)
        assert (short.code, short.attempts, short.field("x-sidecar-replay")) == ("OK", "2", None)


async def test_many_empty_messages_are_not_free_to_keep() -> None:
    route = 'idempotent = true\nretry = { replay_buffer = "4KiB" }'
    async with relayed(fail("UNAVAILABLE"), echo, route=route) as on:
        answer = await ask(on.channel, *[b""] * 100)
        assert (answer.code, answer.field("x-sidecar-replay")) == ("UNAVAILABLE", "off")


@pytest.mark.parametrize("wish", ["x-sidecar-retry", "x-sidecar-fallback"])
async def test_the_caller_may_switch_either_off(wish: str) -> None:
    async with rpc_service(fail("UNAVAILABLE", "first")) as first, rpc_service(echo) as second:
        policy = routed(first.url, second.url, route=IDEMPOTENT)
        async with running(policy) as sidecar, channel_to(sidecar) as channel:
            answer = await ask(channel, b"1", metadata=((wish, "off"),))
    tries = len(first.seen), len(second.seen)
    if wish == "x-sidecar-retry":
        assert (answer.code, tries) == ("OK", (1, 1))
    else:
        assert (answer.code, answer.text, tries) == ("UNAVAILABLE", "first", (3, 0))
    assert first.seen[0].field(wish) is None


@pytest.mark.parametrize(
    ("code", "route", "fits"),
    [
        ("UNAVAILABLE", IDEMPOTENT, True), ("INTERNAL", IDEMPOTENT, True), ("UNKNOWN", IDEMPOTENT, True),
        ("RESOURCE_EXHAUSTED", "", True), ("UNIMPLEMENTED", "", True), ("INTERNAL", "", False),
        ("NOT_FOUND", IDEMPOTENT, False), ("ABORTED", IDEMPOTENT, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("upstream", [UNARY, ""], ids=["known", "unknown"])
async def test_the_next_target(code: str, route: str, fits: bool, upstream: str) -> None:
    async with rpc_service(fail(code, "first")) as first, rpc_service(echo) as second:
        policy = routed(first.url, second.url, route=f"{route}\nretry = {{ tries = 1 }}", upstream=upstream)
        async with running(policy) as sidecar, channel_to(sidecar) as channel:
            answer = await unary(channel)
    if fits:
        assert (answer.short, answer.field("x-sidecar-upstream")) == (("OK", [b"1"]), "b")
        assert second.seen[0].field("grpc-previous-rpc-attempts") == "1"
    else:
        assert (answer.code, answer.text, len(second.seen)) == (code, "first", 0)


async def test_when_no_target_answers_well_the_first_one_is_heard() -> None:
    pushed: Pairs = (("first", "yes"),)
    async with (
        rpc_service(fail("UNAVAILABLE", "first", pushed)) as first,
        rpc_service(fail("UNIMPLEMENTED")) as second,
        running(routed(first.url, second.url, route=IDEMPOTENT)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        answer = await stream(channel)
    assert (answer.code, answer.text, answer.field("first")) == ("UNAVAILABLE", "first", "yes")
    assert (answer.field("x-sidecar-upstream"), len(second.seen)) == ("a", 1)
