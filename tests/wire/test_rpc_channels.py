"""Connections to upstreams: one for many calls, kept over a reload, changed when a server goes and comes again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from sidecar.upstreams.grpc import RENEWED_AFTER
from tests.kit.h2_peer import h2_listening
from tests.kit.rpc import RpcService, channel_to, echo, fail, routed, rpc_service
from tests.kit.rpc_caller import METHOD, ask, ask_unary, opened, relayed, told
from tests.kit.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.h2_peer import H2Listening
    from tests.kit.rpc import Talk


async def answer_all(upstream: H2Listening) -> None:
    """OK to every call on every connection."""
    while True:
        peer = await upstream.accept()
        while True:
            stream = await peer.request()
            stream.headers()
            stream.say(b"hello")
            stream.trailers("OK")


async def test_many_calls_share_one_connection() -> None:
    async with h2_listening() as upstream, running(routed(upstream.url)) as sidecar, channel_to(sidecar) as channel:
        answering = asyncio.create_task(answer_all(upstream))
        answers = await asyncio.gather(*(ask_unary(channel) for _ in range(50)))
        assert {(answer.code, *answer.messages) for answer in answers} == {("OK", b"hello")}
        assert len(upstream.peers) == 1
        answering.cancel()


async def test_a_reload_keeps_the_connection_of_an_upstream_that_stays_as_it_was() -> None:
    async with h2_listening() as upstream, running(routed(upstream.url)) as sidecar, channel_to(sidecar) as channel:
        answering = asyncio.create_task(answer_all(upstream))
        before = await ask_unary(channel)
        with sidecar.file.open("a") as file:
            file.write('deadline = "9s"\n')
        changed = await sidecar.daemon.reload()
        after = await ask_unary(channel)
        assert (before.field("x-sidecar-config"), after.field("x-sidecar-config")) == ("1", "2")
        assert "grpc a" in changed["kept"]
        assert len(upstream.peers) == 1
        answering.cancel()


async def test_a_reload_to_another_address_lets_calls_under_way_end() -> None:
    async with rpc_service(echo) as new, relayed(echo) as on:
        rpc = opened(on.channel)
        await rpc.write(b"1")
        assert await rpc.read() == b"1"
        policy = on.sidecar.file.read_text()
        on.sidecar.file.write_text(policy.replace(on.service.url, new.url))
        await on.sidecar.daemon.reload()
        assert (await ask_unary(on.channel, b"new")).short == ("OK", [b"new"])
        await rpc.write(b"2")
        assert await rpc.read() == b"2"
        await rpc.done_writing()
        assert (await told(rpc)).short == ("OK", [])
        assert (len(on.service.seen), len(new.seen)) == (1, 1)


@pytest.mark.both_loops
async def test_a_server_that_is_replaced_at_its_port_loses_no_call() -> None:
    """It says GOAWAY, ends what it has begun, and another one takes its place: rows 2 and 3."""
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(talk: Talk) -> None:
        begun.set()
        await go_on.wait()
        await echo(talk)

    old, new = RpcService([slow]), RpcService([echo])
    server = _server(old, 0)
    await server.start()
    policy = routed(old.url, route="idempotent = true", more="").replace('backoff = "1ms"', 'backoff = "100ms"')
    async with running(policy) as sidecar, channel_to(sidecar) as channel:
        long_call = asyncio.create_task(ask_unary(channel, b"long"))
        await begun.wait()
        stopping = asyncio.create_task(server.stop(10))
        await asyncio.sleep(0)
        second = _server(new, int(old.target.rpartition(":")[2]))
        await second.start()
        go_on.set()
        assert (await long_call).short == ("OK", [b"long"])
        for number in range(20):
            answer = await ask_unary(channel, b"%d" % number)
            assert answer.short == ("OK", [b"%d" % number]), answer.text
        await stopping
        await second.stop(None)
    assert len(old.seen) == 1


async def test_a_server_that_goes_away_ends_what_it_has_begun_while_other_calls_find_nobody() -> None:
    service = RpcService([echo])
    server = _server(service, 0)
    await server.start()
    policy = routed(service.url, upstream="circuit_breaker = false")
    async with running(policy) as sidecar, channel_to(sidecar) as channel:
        rpc = opened(channel)
        await rpc.write(b"1")
        assert await rpc.read() == b"1"
        stopping = asyncio.create_task(server.stop(10))
        until = time.monotonic() + 2 * RENEWED_AFTER
        while time.monotonic() < until:
            assert (await ask_unary(channel)).code == "UNAVAILABLE"
        await rpc.write(b"2")
        assert await rpc.read() == b"2"
        await rpc.done_writing()
        assert (await told(rpc)).short == ("OK", [])
        await stopping


async def test_a_reload_between_two_attempts_does_not_end_the_call() -> None:
    """It finishes on what it began with, though nobody else uses that any more."""
    begun = asyncio.Event()

    async def fails(talk: Talk) -> None:
        await talk.take_all()
        begun.set()
        await talk.end("UNAVAILABLE")

    async with relayed(fails, echo, route='idempotent = true\nretry = { backoff = "300ms" }') as on:
        asking = asyncio.create_task(ask_unary(on.channel))
        await begun.wait()
        policy = on.sidecar.file.read_text()
        on.sidecar.file.write_text(policy.replace(on.service.url, "grpc://127.0.0.1:1"))
        await on.sidecar.daemon.reload()
        assert (await asking).short == ("OK", [b"hi"])


def _server(service: RpcService, port: int) -> grpc.aio.Server:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    server.add_generic_rpc_handlers((service,))
    service.target = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    return server


async def test_a_connection_that_answers_no_ping_is_dead_after_its_timeout() -> None:
    async with h2_listening() as upstream:
        # The peer's answers to pings come out of this loop: it may pause for a while and is not dead.
        keepalive = 'keepalive = { time = "200ms", timeout = "3s" }'
        policy = routed(upstream.url, upstream=keepalive, route="idempotent = true")
        async with running(policy) as sidecar, channel_to(sidecar) as channel:
            asking = asyncio.create_task(ask_unary(channel))
            peer, _ = await upstream.request()
            peer.mute = True
            _, again = await upstream.request()
            again.headers()
            again.say(b"hello")
            again.trailers("OK")
            answer = await asking
            assert (answer.code, answer.field("x-sidecar-attempts")) == ("OK", "2")


async def test_of_several_addresses_each_is_used_and_one_that_fails_is_not_asked_twice_by_a_call() -> None:
    async with rpc_service(fail("UNAVAILABLE", "not me")) as bad, rpc_service(echo) as good:
        policy = routed(bad.url, route="idempotent = true").replace(
            f'url = "{bad.url}"', f'urls = ["{bad.url}", "{good.url}"]'
        )
        async with running(policy) as sidecar, channel_to(sidecar) as channel:
            for _ in range(20):
                assert (await ask(channel, b"hi")).short == ("OK", [b"hi"])
    assert len(good.seen) == 20
    assert 1 <= len(bad.seen) <= 20


async def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    service = RpcService([echo])
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"unix:{tmp_path}/upstream")
    await server.start()
    policy = routed(f"unix:{tmp_path}/upstream").replace('grpc = "127.0.0.1:0"', f'grpc = "unix:{tmp_path}/sidecar"')
    async with running(policy) as sidecar:
        assert sidecar.daemon.addresses["grpc"] == f"unix:{tmp_path}/sidecar"
        async with channel_to(sidecar) as channel:
            assert (await ask_unary(channel)).short == ("OK", [b"hi"])
            assert (await ask(channel, b"a", b"b")).short == ("OK", [b"a", b"b"])
    await server.stop(None)


async def test_nothing_that_the_environment_says_of_proxies_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with rpc_service(echo) as service, running(routed(service.url)) as sidecar:
        options = (("grpc.enable_http_proxy", 0),)  # the test's own channel
        async with channel_to(sidecar, *options) as channel:
            assert (await ask_unary(channel)).short == ("OK", [b"hi"])


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_messages_may_be_compressed_on_either_side(algorithm: grpc.Compression) -> None:
    async def packed(talk: Talk) -> None:
        talk.context.set_compression(algorithm)
        await echo(talk)

    message = b"much of the same " * 1000
    async with relayed(packed) as on:
        answer = await ask(on.channel, message, compression=algorithm)
        assert answer.short == ("OK", [message])
        assert (await ask(on.channel, message)).short == ("OK", [message])
        assert [seen.messages for seen in on.service.seen] == [[message], [message]]


async def test_a_caller_that_compresses_all_it_says_is_read() -> None:
    async with relayed(echo, upstream=f'unary = ["{METHOD[1:]}"]') as on:
        address = on.sidecar.daemon.addresses["grpc"]
        async with grpc.aio.insecure_channel(address, compression=grpc.Compression.Gzip) as channel:
            assert (await ask_unary(channel, b"a" * 10_000)).short == ("OK", [b"a" * 10_000])
