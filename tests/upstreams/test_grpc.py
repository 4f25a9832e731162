"""Channels to one service: their options, the methods they keep ready, and how they end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from sidecar.body import Messages
from sidecar.call import NO_DEADLINE, What
from sidecar.errors import UpstreamError
from sidecar.upstreams.grpc import MOST_METHODS, Channel, ChannelSettings, GrpcUpstream, options_of
from sidecar.upstreams.grpc_metadata import MetadataWriter
from tests.kit.caller import PATIENCE
from tests.kit.h2_peer import h2_connected
from tests.kit.rpc import echo, hang, rpc_service
from tests.kit.rpc_caller import relayed
from tests.kit.running import until
from tests.kit.stage import a_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call, Reply


class Attempt:
    address = 0
    fresh = False

    def sent(self) -> None: ...

    def began(self, reply: Reply) -> None:
        raise AssertionError("no answer is held back here")

    async def resume(self, why: str) -> Reply | None:
        raise AssertionError("no stream is continued here")

    def keep_slot(self) -> Callable[[], None]:
        return lambda: None


def upstream_to(*targets: str) -> GrpcUpstream:
    channels = [Channel(ChannelSettings(target)) for target in targets]
    return GrpcUpstream(channels, MetadataWriter((), (), b""), time.monotonic)


def unary_call(**told: object) -> Call:
    call = a_call(path=b"/p.S/M", target=b"/p.S/M", body=Messages.of(b"hi"))
    call.unary = True
    call.traceparent = b"00"
    for name, value in told.items():
        setattr(call, name, value)
    return call


def test_the_options_that_c_core_must_have() -> None:
    """Each of them was found by a failure: see the reasons beside them."""
    options = dict(options_of(ChannelSettings("127.0.0.1:1", connect=0.05, max_message=7, max_metadata=9)))
    assert options["grpc.enable_http_proxy"] == 0
    assert options["grpc.enable_retries"] == 0
    assert options["grpc.service_config_disable_resolution"] == 1
    assert options["grpc.min_reconnect_backoff_ms"] == 100
    assert options["grpc.max_reconnect_backoff_ms"] == 1000
    assert options["grpc.max_receive_message_length"] == options["grpc.max_send_message_length"] == 7
    assert options["grpc.max_metadata_size"] == options["grpc.absolute_max_metadata_size"] == 9
    assert not [name for name in options if "keepalive" in name or "override" in name]


def test_the_options_that_the_file_asks_for() -> None:
    options = dict(options_of(ChannelSettings("a:1", connect=3.0, server_name="b.test", keepalive=(10.0, 2.5))))
    assert options["grpc.min_reconnect_backoff_ms"] == 3000
    assert options["grpc.ssl_target_name_override"] == "b.test"
    assert (options["grpc.keepalive_time_ms"], options["grpc.keepalive_timeout_ms"]) == (10_000, 2_500)
    assert options["grpc.http2.ping_timeout_ms"] == 2_500
    options = dict(options_of(ChannelSettings("a:1", keepalive=(0.0001, 0.0))))  # no timeout
    assert (options["grpc.keepalive_time_ms"], options["grpc.http2.ping_timeout_ms"]) == (1, (1 << 31) - 1)
    assert options["grpc.http2.max_pings_without_data"] == 0


def test_a_private_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(ChannelSettings("a:1", secure=True, key=b"PRIVATE KEY"))


async def test_only_so_many_methods_are_kept_ready() -> None:
    channel = Channel(ChannelSettings("127.0.0.1:1"))
    for number in range(MOST_METHODS):
        channel.unary(b"/p.S/M%d" % number)
    first = channel.unary(b"/p.S/M0")
    assert channel.unary(b"/p.S/M0") is first
    channel.unary(b"/p.S/One-more")
    assert channel.unary(b"/p.S/M0") is not first
    assert channel.stream(b"/p.S/M0") is channel.stream(b"/p.S/M0")
    await channel.close()


@pytest.mark.parametrize("path", ["/p.S/Mä", "/p.S/M?a=1", "//", "/p.S/%41", "/p.S/" + "x" * 2000])
async def test_a_method_s_name_passes_byte_for_byte(path: str) -> None:
    async with relayed(echo) as on, h2_connected(on.sidecar.daemon.addresses["grpc"]) as peer:
        stream = peer.open(path)
        stream.say(b"1", end=True)
        assert await stream.message() == b"1"
        await stream.ended()
        assert on.service.seen[0].method == path


async def test_the_address_that_the_engine_chose() -> None:
    async with rpc_service(echo) as first, rpc_service(echo) as second:
        upstream, attempt = upstream_to(first.target, second.target), Attempt()
        attempt.address = 1
        reply = await upstream.send(unary_call(), attempt)
        assert (reply.whole, len(first.seen), len(second.seen)) == (b"hi", 0, 1)
        await upstream.aclose()


async def test_a_channel_is_closed_when_its_last_call_has_ended() -> None:
    async with rpc_service(echo, hang) as service:
        upstream = upstream_to(service.target)
        stream = a_call(path=b"/p.S/M", target=b"/p.S/M", body=Messages.of(b"hi"))
        stream.traceparent = b"00"
        reply = await upstream.send(stream, Attempt())
        await upstream.aclose()  # not yet: somebody reads
        assert reply.chunks is not None
        assert [message async for message in reply.chunks] == [b"hi"]
        assert reply.closer is not None
        reply.closer.close()
        await until(lambda: upstream.states() == ["shutdown"])


async def test_a_call_that_began_before_makes_its_next_attempt_over_a_channel_that_is_closed_again() -> None:
    async with rpc_service(echo) as service:
        upstream = upstream_to(service.target)
        await upstream.aclose()
        assert upstream.states() == ["shutdown"]
        assert (await upstream.send(unary_call(), Attempt())).whole == b"hi"
        await until(lambda: upstream.states() == ["shutdown"])


async def test_a_channel_that_is_closed_under_a_call_is_a_reset_and_not_a_cancellation() -> None:
    async with rpc_service(hang) as service:
        upstream = upstream_to(service.target)
        sending = asyncio.create_task(upstream.send(unary_call(), Attempt()))
        await service.call()
        await upstream._channels[0]._channel.close()
        with pytest.raises(UpstreamError) as ended:
            await sending
        assert ended.value.facts.what is What.RESET


async def test_who_cancels_is_obeyed() -> None:
    async with rpc_service(hang) as service:
        upstream = upstream_to(service.target)
        sending = asyncio.create_task(upstream.send(unary_call(), Attempt()))
        seen = await service.call()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        async with asyncio.timeout(PATIENCE):
            await seen.cancelled.wait()
        await upstream.aclose()


@pytest.mark.parametrize(("own", "what"), [(True, What.CALLER_DEADLINE), (False, What.TIMED_OUT)])
async def test_a_deadline_that_has_passed_sends_nothing(own: bool, what: What) -> None:
    upstream, now = upstream_to("127.0.0.1:1"), time.monotonic()
    call = unary_call(deadline=now - 1, caller_deadline=now - 1 if own else NO_DEADLINE)
    with pytest.raises(UpstreamError) as ended:
        await upstream.send(call, Attempt())
    assert ended.value.facts.what is what
    await upstream.aclose()


async def test_a_deadline_that_the_channel_tells_is_the_caller_s_if_it_is_his() -> None:
    async with rpc_service(hang) as service:
        upstream, until = upstream_to(service.target), time.monotonic() + 0.05
        with pytest.raises(UpstreamError) as ended:
            await upstream.send(unary_call(deadline=until, caller_deadline=until), Attempt())
        assert ended.value.facts.what is What.CALLER_DEADLINE
        until = time.monotonic() + 0.05
        reply = await upstream.send(unary_call(deadline=until), Attempt())
        assert (reply.code, reply.facts.grpc_code) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
        await upstream.aclose()
