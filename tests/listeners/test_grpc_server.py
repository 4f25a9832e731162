"""grpcio's server as we set it up: its options, its address, and what cannot be bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from sidecar.listeners.grpc_server import GrpcServer, Pems, ServerSettings, options_of
from tests.kit.caller import PATIENCE
from tests.kit.h2_peer import h2_connected
from tests.kit.rpc import RpcService, hang
from tests.kit.rpc_caller import OWN_CONNECTION, ask_unary, closed, opened, told

if TYPE_CHECKING:
    from pathlib import Path


def settings(address: str = "127.0.0.1:0", **told: Any) -> ServerSettings:
    return ServerSettings(address, **{"max_message": 1 << 20, "max_metadata": 4096, "max_connections": 100, **told})


def test_the_options_that_c_core_must_have() -> None:
    """Each of them was found by a failure: see the reasons beside them."""
    options = dict(options_of(settings()))
    assert options["grpc.so_reuseport"] == 0
    assert options["grpc.max_receive_message_length"] == options["grpc.max_send_message_length"] == 1 << 20
    assert options["grpc.max_metadata_size"] == options["grpc.absolute_max_metadata_size"] == 4096
    assert options["grpc.max_allowed_incoming_connections"] == 100
    assert options["grpc.http2.min_ping_interval_without_data_ms"] == 5000
    assert options["grpc.http2.max_ping_strikes"] == 0
    assert options["grpc.http.tarpit"] == 0


def test_a_private_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(Pems(b"CERTIFICATE", b"PRIVATE KEY"))


async def test_a_port_of_its_own() -> None:
    server = GrpcServer(settings(), (RpcService([]),))
    await server.start()
    assert not server.address.endswith(":0")
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert (await ask_unary(channel)).code == "OK"
    await server.stop(None)


async def test_a_unix_socket(tmp_path: Path) -> None:
    server = GrpcServer(settings(f"unix:{tmp_path}/s"), (RpcService([]),))
    await server.start()
    assert server.address == f"unix:{tmp_path}/s"
    async with grpc.aio.insecure_channel(server.address) as channel:
        assert (await ask_unary(channel)).code == "OK"
    await server.stop(None)


async def test_a_port_that_is_taken() -> None:
    first = GrpcServer(settings(), ())
    await first.start()
    with pytest.raises(OSError, match="bind"):
        await GrpcServer(settings(first.address), ()).start()
    await first.stop(None)


async def test_pings_of_a_busy_caller_are_no_strikes() -> None:
    """grpc-go and others ping every 10 s or oftener; by default C-core sends them away: ENHANCE_YOUR_CALM."""
    server = GrpcServer(settings(), (RpcService([]),))
    await server.start()
    async with h2_connected(server.address) as peer:
        for number in range(50):
            peer.h2.ping(number.to_bytes(8, "big"))
        peer.flush()
        stream = peer.open("/p.S/M")
        stream.say(b"1", end=True)
        assert await stream.message() == b"1"
        assert peer.goaway is None
    await server.stop(None)


async def test_connections_beyond_the_most_are_turned_away() -> None:
    server = GrpcServer(settings(max_connections=1), (RpcService([]),))
    await server.start()
    async with h2_connected(server.address) as first:
        stream = first.open("/p.S/M")
        stream.say(b"1", end=True)
        assert await stream.message() == b"1"
        async with h2_connected(server.address) as second:
            async with asyncio.timeout(PATIENCE):
                await second.ended.wait()
    await server.stop(None)


@pytest.mark.parametrize("grace", [None, 10 * PATIENCE])
async def test_calls_under_way_have_the_grace_that_is_given(grace: float | None) -> None:
    service = RpcService([hang])
    server = GrpcServer(settings(), (service,))
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        rpc = opened(channel)
        await rpc.write(b"1")
        seen = await service.call()
        stopping = asyncio.create_task(server.stop(grace))
        if grace is None:
            assert (await told(rpc)).code == "UNAVAILABLE"
        else:
            await closed(server.address)
            async with grpc.aio.insecure_channel(server.address, [OWN_CONNECTION]) as late:
                assert (await ask_unary(late)).code == "UNAVAILABLE"
            assert not seen.cancelled.is_set()
            rpc.cancel()
        async with asyncio.timeout(PATIENCE):
            await stopping
            await seen.cancelled.wait()
