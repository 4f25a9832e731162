"""The sidecar's own statuses over gRPC: code, text, and the details that a client library reads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from tests.kit.caller import PATIENCE
from tests.kit.rpc import channel_to, echo, fail, routed, rpc_service
from tests.kit.rpc_caller import METHOD, Told, ask, ask_unary, opened, relayed
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NOWHERE = "grpc://127.0.0.1:1"
FRAIL = "circuit_breaker = { failure_threshold = 1, failure_rate = 0 }"
UNARY = f'unary = ["{METHOD[1:]}"]'
BOTH = pytest.mark.parametrize("asked", [ask_unary, ask], ids=["unary", "stream"])

if TYPE_CHECKING:
    Asked = Callable[..., Awaitable[Told]]


def reason(answer: Told) -> str:
    """What `google.rpc.ErrorInfo` says; the status in the details is the one that the caller got."""
    info = error_details_pb2.ErrorInfo()
    status = details(answer)
    assert (status.message, status.details[0].Unpack(info)) == (answer.text, True)
    assert (info.domain, info.metadata["request_id"]) == ("sidecar", answer.field("x-sidecar-request-id"))
    return str(info.reason)


def details(answer: Told) -> status_pb2.Status:
    packed = answer.field("grpc-status-details-bin")
    assert isinstance(packed, bytes)
    return status_pb2.Status.FromString(packed)


@BOTH
async def test_no_route(asked: Asked) -> None:
    async with running(routed(NOWHERE, pattern="p.S/*")) as sidecar, channel_to(sidecar) as channel:
        answer = await asked(channel, b"", method="/other.S/M")
    assert (answer.code, reason(answer)) == ("UNIMPLEMENTED", "NO_ROUTE")
    assert answer.text == "no route matches the gRPC method other.S/M"
    assert answer.field("x-sidecar-attempts") == "0"


@BOTH
async def test_a_full_limit(asked: Asked) -> None:
    async with relayed(echo, route="rate_limit = { per_minute = 1 }") as on:
        assert (await asked(on.channel, b"1")).code == "OK"
        answer = await asked(on.channel, b"1")
    assert (answer.code, reason(answer)) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    told = error_details_pb2.RetryInfo()
    assert details(answer).details[1].Unpack(told)
    assert 0 < told.retry_delay.ToMilliseconds() <= 60_000
    assert answer.field("grpc-retry-pushback-ms") == str(told.retry_delay.ToMilliseconds())
    assert (answer.field("x-ratelimit-limit-minute"), answer.field("x-ratelimit-remaining-minute")) == ("1", "0")


async def test_what_is_left_of_a_limit_is_told_in_front() -> None:
    async with relayed(echo, route="rate_limit = { per_minute = 9 }") as on:
        answer = await ask(on.channel, b"1")
    assert dict(answer.initial)["x-ratelimit-remaining-minute"] == "8"


@BOTH
async def test_an_open_breaker(asked: Asked) -> None:
    async with relayed(fail("UNAVAILABLE"), echo, upstream=FRAIL, route="retry = { tries = 1 }") as on:
        assert (await asked(on.channel, b"1")).code == "UNAVAILABLE"
        answer = await asked(on.channel, b"1")
        assert len(on.service.seen) == 1
    assert (answer.code, answer.text) == ("UNAVAILABLE", "Circuit breaker 'a' is OPEN")
    assert reason(answer) == "CIRCUIT_OPEN"
    assert answer.field("grpc-retry-pushback-ms") is None


@BOTH
async def test_nobody_there(asked: Asked) -> None:
    async with running(routed(NOWHERE)) as sidecar, channel_to(sidecar) as channel:
        answer = await asked(channel, b"1")
    assert (answer.code, reason(answer), answer.attempts) == ("UNAVAILABLE", "UPSTREAM_CONNECT_FAILED", "3")
    assert answer.text.startswith("a: no_connection: ")


@BOTH
async def test_a_token(asked: Asked) -> None:
    async with rpc_service(echo) as service:
        policy = routed(service.url).replace("[listen]\n", '[listen]\nhttp_token = "let-me-in"\n')
        async with running(policy) as sidecar, channel_to(sidecar) as channel:
            for metadata in ((), (("x-sidecar-token", "let-me"),)):
                answer = await asked(channel, b"1", metadata=metadata)
                assert (answer.code, reason(answer)) == ("PERMISSION_DENIED", "FORBIDDEN_TOKEN")
            assert service.seen == []
            answer = await asked(channel, b"1", metadata=(("x-sidecar-token", "let-me-in"),))
            assert answer.short == ("OK", [b"1"])
            assert service.seen[0].field("x-sidecar-token") is None


@BOTH
async def test_a_circle(asked: Asked) -> None:
    async with relayed(echo) as on:
        await asked(on.channel, b"1")
        via = on.service.seen[0].field("via")
        assert isinstance(via, str)
        answer = await asked(on.channel, b"1", metadata=(("via", via),))
    assert (answer.code, reason(answer)) == ("INTERNAL", "LOOP_DETECTED")


async def test_two_sidecars_in_a_row() -> None:
    async with rpc_service(echo) as service, running(routed(service.url)) as inner:
        policy = routed(f"grpc://{inner.daemon.addresses['grpc']}")
        async with running(policy) as outer, channel_to(outer) as channel:
            answer = await ask(channel, b"1", b"2", metadata=(("x-request-id", "both"),))
            assert answer.short == ("OK", [b"1", b"2"])
            names = [name for name, _ in answer.initial]
            assert len(names) == len(set(names)), "only one of them tells"
            assert str(service.seen[0].field("via")).count("sidecar-") == 2
            assert service.seen[0].field("x-request-id") == "both"


async def test_a_message_over_the_limit() -> None:
    async with relayed(echo, more="[limits]\nmax_body_bytes = 1000") as on:
        for asked in (ask_unary, ask):
            assert (await asked(on.channel, b"x" * 1000)).code == "OK"
            answer = await asked(on.channel, b"x" * 1001)
            assert answer.code == "RESOURCE_EXHAUSTED"
        assert (await ask(on.channel, *[b"x" * 1000] * 20)).code == "OK"  # it is each message's limit


async def test_a_message_that_unpacks_to_more_than_the_limit() -> None:
    async with relayed(echo, more="[limits]\nmax_body_bytes = 100_000") as on:
        answer = await ask(on.channel, b"x" * 1_000_000, compression=grpc.Compression.Gzip)
        assert answer.code == "RESOURCE_EXHAUSTED"
        assert (await ask(on.channel, b"x" * 100_000, compression=grpc.Compression.Gzip)).code == "OK"
        assert on.service.seen[0].messages == []


async def test_what_is_too_long_is_told_at_once() -> None:
    """C-core lets such callers wait for up to a second, one after the other."""
    async with relayed(echo, more="[limits]\nmax_body_bytes = 10\nmax_header_bytes = '4KiB'") as on:
        began = time.monotonic()
        for _ in range(100):
            assert (await ask(on.channel, b"x" * 11)).code == "RESOURCE_EXHAUSTED"
            assert (await ask(on.channel, metadata=(("long", "x" * 5000),))).code == "RESOURCE_EXHAUSTED"
        assert time.monotonic() - began < PATIENCE


async def test_a_route_s_own_limit_of_a_message() -> None:
    for upstream in ("", UNARY):
        async with relayed(echo, upstream=upstream, route="limits = { max_body_bytes = 10 }") as on:
            answer = await ask_unary(on.channel, b"x" * 11)
            assert (answer.code, reason(answer)) == ("RESOURCE_EXHAUSTED", "BODY_TOO_LARGE")
            assert (await ask_unary(on.channel, b"x" * 10)).code == "OK"


async def test_too_many_pairs_of_metadata() -> None:
    async with relayed(echo, more="[limits]\nmax_headers = 20") as on:
        answer = await ask(on.channel, b"1", metadata=tuple((f"n{number}", "v") for number in range(20)))
        assert (answer.code, reason(answer)) == ("RESOURCE_EXHAUSTED", "HEADER_TOO_LARGE")
        assert (await ask(on.channel, b"1")).code == "OK"
        assert len(on.service.seen) == 1


async def test_metadata_over_the_limit() -> None:
    """C-core refuses them itself, before there is a call of ours."""
    async with relayed(echo, more='[limits]\nmax_header_bytes = "4KiB"') as on:
        answer = await ask(on.channel, b"1", metadata=(("long", "x" * 5000),))
        assert answer.code == "RESOURCE_EXHAUSTED"
        assert (await ask(on.channel, b"1", metadata=(("long", "x" * 3000),))).code == "OK"


@BOTH
async def test_a_static_link_answers_what_nobody_else_does(asked: Asked) -> None:
    more = '[static.sorry]\ngrpc_code = "UNAVAILABLE"\ngrpc_message = "all are away"'
    policy = routed(NOWHERE, more=more).replace('chain = ["a"]', 'chain = ["a", "static/sorry"]')
    async with running(policy) as sidecar, channel_to(sidecar) as channel:
        answer = await asked(channel, b"1")
    assert (answer.code, answer.text) == ("UNAVAILABLE", "all are away")
    assert answer.field("x-sidecar-upstream") == "static"


async def test_too_many_calls_at_once() -> None:
    async with relayed(echo, route="concurrency = { max = 1 }") as on:
        rpc = opened(on.channel)
        await rpc.write(b"1")
        await rpc.read()
        answer = await ask(on.channel, b"2")
        assert (answer.code, reason(answer)) == ("UNAVAILABLE", "OVERLOADED")
        assert answer.field("grpc-retry-pushback-ms") == "1000"
        await rpc.done_writing()
        assert (await rpc.code()).name == "OK"
        assert (await ask(on.channel, b"3")).code == "OK"
