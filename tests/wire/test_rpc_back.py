"""A gRPC upstream that comes back is found by the first call, not when a channel's own pause is over."""

from __future__ import annotations

import grpc.aio
import pytest

from sidecar.upstreams import grpc as grpc_upstream
from tests.kit.addresses import free_port
from tests.kit.rpc import channel_to, echo, routed, rpc_service
from tests.kit.running import running

ONCE = "retry = { tries = 1 }"


async def test_the_first_call_after_it_is_back_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_upstream, "RENEWED_AFTER", 0.0)
    port = free_port()
    policy = routed(f"grpc://127.0.0.1:{port}", route=ONCE, upstream="circuit_breaker = false")
    async with running(policy) as sidecar, channel_to(sidecar) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/p.S/M")
        for _ in range(8):  # the channel's pauses between its own tries grow
            with pytest.raises(grpc.aio.AioRpcError):
                await call(b"hi", timeout=20)
        async with rpc_service(echo, port=port):
            assert await call(b"hi", timeout=20) == b"hi"
