"""What metrics, log and timeline tell of gRPC calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.kit.rpc import channel_to, echo, fail, routed, rpc_service
from tests.kit.running import running

if TYPE_CHECKING:
    from tests.kit.running import Running

KNOWN = 'unary = ["shop.v1.Cart/Add"]'


async def ask(channel: grpc.aio.Channel, method: str) -> bytes:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    return await call(b"hello", metadata=(("x-request-id", "rpc-1"),), timeout=20)


def metrics(sidecar: Running) -> list[str]:
    assert sidecar.daemon.view is not None
    return sidecar.daemon.view.telemetry.metrics.exposition("")[1].decode().splitlines()


def timeline(sidecar: Running) -> dict[str, Any]:
    assert sidecar.daemon.view is not None
    told = sidecar.daemon.view.timeline("rpc-1")
    assert told is not None
    return told


async def test_a_call_of_a_known_method() -> None:
    async with (
        rpc_service(echo) as service,
        running(routed(service.url, upstream=KNOWN)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        assert await ask(channel, "/shop.v1.Cart/Add") == b"hello"
        line = await sidecar.log.call("rpc-1")
        lines, told = metrics(sidecar), timeline(sidecar)
    assert (line["protocol"], line["method"], line["path"]) == ("grpc", "POST", "/shop.v1.Cart/Add")
    assert (line["grpc_code"], line["outcome"], line["level"]) == ("OK", "ok", "info")
    assert (line["bytes_in"], line["bytes_out"]) == (5, 5)
    assert (told["protocol"], told["grpc_code"], told["steps"][0]["grpc_code"]) == ("grpc", "OK", "OK")
    assert 'grpc_requests_total{route="r",grpc_method="shop.v1.Cart/Add",code="OK"} 1' in lines
    assert 'grpc_request_duration_seconds_count{route="r",grpc_method="shop.v1.Cart/Add"} 1' in lines


async def test_a_status_of_the_upstream_s_for_a_method_that_nobody_knows() -> None:
    async with (
        rpc_service(fail("UNAVAILABLE", "gone")) as service,
        running(routed(service.url)) as sidecar,
        channel_to(sidecar) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(channel, "/any.v1.Thing/Do")
        line = await sidecar.log.call("rpc-1")
        lines, told = metrics(sidecar), timeline(sidecar)
    assert (line["grpc_code"], line["outcome"], line["level"]) == ("UNAVAILABLE", "grpc_lost", "warning")
    assert (told["grpc_code"], told["steps"][0]["grpc_code"]) == ("UNAVAILABLE", "UNAVAILABLE")
    assert 'grpc_requests_total{route="r",grpc_method="other",code="UNAVAILABLE"} 1' in lines
