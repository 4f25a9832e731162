"""c-gateway: one request, one connection, one write; and what its answers are like."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.body import Body
from sidecar.call import Sign, What
from sidecar.errors import RequestTimeout, UpstreamError
from tests.kit.gateway import Gateway, OneAttempt, gateway, service_to
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from sidecar.call import Call, Reply

pytestmark = pytest.mark.both_loops

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
DECIDE = b"/api/v1/routes/decide"
OVERLOADED_HEAD = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 209\r\n"
    b"Retry-After: 30\r\nContent-Length: 209\r\nConnection: close\r\n\r\n"
)
OVERLOADED_BODY = (
    b'{"ok":false,"error":{"code":"service_overloaded","message":"Router is overloaded, please retry later",'
    b'"intake_error_code":null,"details":{}},"context":{"request_id":"","trace_id":"","tenant_id":"demo-tenant"}}'
)
"""Under backpressure, as the real one wrote it, in its two writes."""


def decide(body: Body | bytes = b"{}", path: bytes = DECIDE) -> Call:
    call = a_call(b"POST", path, body=body)
    call.headers = [(b"x-tenant-id", b"t1"), (b"CONTENT-TYPE", b"application/json"), (b"X-Odd", b"1")]
    call.fields = {name.lower(): value for name, value in call.headers}
    return call


async def all_of(reply: Reply) -> bytes:
    if reply.chunks is None:
        return reply.whole or b""
    return b"".join([chunk async for chunk in reply.chunks])


async def sent(server: Gateway, call: Call, *said: bytes) -> tuple[bytes, Reply]:
    """What one read of the gateway brought, and the reply of what it said to it."""
    sending = asyncio.create_task(service_to(server.url).upstream.send(call, OneAttempt()))
    served = await server.next()
    for data in said:
        served.say(data)
    return served.request, await sending


async def test_head_and_body_come_with_one_read() -> None:
    async with gateway() as server:
        request, reply = await sent(server, decide(b'{"version":"1"}', DECIDE + b"?a=1"), OK)
        assert request == (
            b"POST /api/v1/routes/decide?a=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Tenant-ID: t1\r\n"
            b"Content-Type: application/json\r\nX-Odd: 1\r\nX-Request-ID: 1\r\nX-Correlation-ID: 1\r\ntraceparent: \r\n"
            b'Content-Length: 15\r\n\r\n{"version":"1"}' % server.port
        )
        assert (reply.status, reply.whole) == (200, b"ok")


async def test_a_body_that_is_still_coming_is_waited_for_without_a_connection() -> None:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    body = Body(lambda: asyncio.ensure_future(pieces.get()), length=None)
    attempt = OneAttempt()
    async with gateway() as server:
        sending = asyncio.create_task(service_to(server.url).upstream.send(decide(body), attempt))
        pieces.put_nowait(b'{"a"')
        await asyncio.sleep(0.01)
        assert server.nobody_came()
        assert attempt.clock_started == 0
        pieces.put_nowait(b":1}")
        pieces.put_nowait(b"")
        served = await server.next()
        assert served.request.endswith(b'\r\nContent-Length: 7\r\n\r\n{"a":1}')
        assert attempt.clock_started == 1
        served.say(OK)
        assert (await sending).status == 200


async def test_the_callers_own_failure_reaches_nobody() -> None:
    def too_slow() -> bytes:
        raise RequestTimeout("too slow")

    async with gateway() as server:
        with pytest.raises(RequestTimeout):
            await service_to(server.url).upstream.send(decide(Body(too_slow, length=9)), OneAttempt())
        assert server.nobody_came()


async def test_what_one_read_takes_is_carried_and_a_byte_more_is_not() -> None:
    async with gateway() as server:
        head, _ = await sent(server, decide(b"x" * 10_000), OK)
        room = 65_535 - len(head) + 10_000
        whole, reply = await sent(server, decide(b"x" * room), OK)
        # A loopback connection's first window may be a little less: the read is one, what it brings is the kernel's.
        assert whole.startswith(head[: head.index(b"Content-Length")])
        assert reply.status == 200
        with pytest.raises(UpstreamError, match="65,536 bytes with its head") as told:
            await service_to(server.url).upstream.send(decide(b"x" * (room + 1)), OneAttempt())
        assert (told.value.facts.what, told.value.facts.sign) == (What.CANNOT_CARRY, Sign.TOO_LARGE)
        assert server.nobody_came()


@pytest.mark.parametrize("length", [70_000, None])
async def test_a_body_that_will_be_too_long_is_not_carried(length: int | None) -> None:
    pieces = [b"", b"x" * 35_000, b"x" * 35_000]
    body = Body(pieces.pop, length=length)
    async with gateway() as server:
        with pytest.raises(UpstreamError) as told:
            await service_to(server.url).upstream.send(decide(body), OneAttempt())
        assert told.value.facts.sign is Sign.TOO_LARGE
        assert server.nobody_came()
        assert b"".join([piece async for piece in body.pieces()]) == b"x" * 70_000


async def test_each_request_has_a_connection_of_its_own_that_is_closed_at_once() -> None:
    async with gateway() as server:
        service = service_to(server.url)
        for _ in range(2):
            sending = asyncio.create_task(service.upstream.send(decide(), OneAttempt()))
            served = await server.next()
            served.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert (await sending).whole == b"ok"
            await served.leaves()
            (stats,) = [pool.stats() for pool in service.pools]
            assert (stats.idle, stats.active) == (0, 0)


async def test_a_length_that_is_told_twice() -> None:
    async with gateway() as server:
        _, reply = await sent(server, decide(), OVERLOADED_HEAD, OVERLOADED_BODY)
        assert (reply.status, reply.facts.wait) == (503, 30.0)
        assert await all_of(reply) == OVERLOADED_BODY


async def test_two_lengths_that_differ_are_no_answer() -> None:
    async with gateway() as server:
        with pytest.raises(UpstreamError) as told:
            await sent(server, decide(), b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok")
        assert told.value.facts.what is What.UNPARSEABLE


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async with gateway() as server:
        sending = asyncio.create_task(service_to(server.url).upstream.send(decide(), OneAttempt()))
        served = await server.next()
        served.say(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\n\r\n")
        served.say(b'{"ok":')
        reply = await sending
        served.say(b"false}")
        served.close()
        assert (reply.status, reply.facts.wait, await all_of(reply)) == (429, 60.0, b'{"ok":false}')


async def test_a_reset_behind_the_answer_does_not_lose_it() -> None:
    async with gateway() as server:
        sending = asyncio.create_task(service_to(server.url).upstream.send(decide(), OneAttempt()))
        served = await server.next()
        served.say(OK)
        served.reset()
        assert (await sending).whole == b"ok"


async def test_a_reset_instead_of_an_answer() -> None:
    async with gateway() as server:
        sending = asyncio.create_task(service_to(server.url).upstream.send(decide(), OneAttempt()))
        (await server.next()).reset()
        with pytest.raises(UpstreamError) as told:
            await sending
        assert told.value.facts.what is What.RESET


async def test_the_answer_to_head_has_a_body_all_the_same() -> None:
    async with gateway() as server:
        sending = asyncio.create_task(service_to(server.url).upstream.send(a_call(b"HEAD", b"/health"), OneAttempt()))
        served = await server.next()
        served.say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        reply = await sending
        assert (reply.status, reply.whole, reply.length) == (404, b"", 2)
        await served.leaves()


async def test_nothing_of_one_hop_is_asked_for() -> None:
    call = a_call(b"GET", b"/chat", upgrade=b"websocket", expects_continue=True)
    call.fields = {b"upgrade": b"websocket", b"te": b"trailers"}
    async with gateway() as server:
        request, reply = await sent(server, call, OK)
        lines = request.lower().split(b"\r\n")
        assert not [line for line in lines if line.startswith((b"upgrade", b"connection", b"te:", b"expect"))]
        assert reply.whole == b"ok"


async def test_localhost_is_found_where_it_listens() -> None:
    """It listens on IPv4 only, and `localhost` may mean ::1 first."""
    async with gateway() as server:
        server_url = f"http://localhost:{server.port}"
        sending = asyncio.create_task(service_to(server_url).upstream.send(decide(), OneAttempt()))
        served = await server.next()
        served.say(OK)
        assert (await sending).status == 200
