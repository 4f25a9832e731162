"""What a collector gets of gRPC calls."""

from __future__ import annotations

import grpc.aio
import pytest

from tests.kit.otlp import collecting
from tests.kit.rpc import echo, fail, hang, routed, rpc_service, says
from tests.kit.rpc_caller import ask, ask_unary, opened_unary
from tests.kit.running import running

pytestmark = pytest.mark.usefixtures("spans_at_once")

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
THEIRS = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
UNARY = 'unary = ["p.S/M"]'


async def test_a_unary_call_that_was_tried_again() -> None:
    async with (
        collecting() as collector,
        rpc_service(fail("UNAVAILABLE"), echo) as service,
        running(routed(service.url, upstream=UNARY, route="idempotent = true") + collector.policy) as sidecar,
        grpc.aio.insecure_channel(sidecar.grpc) as channel,
    ):
        assert (await ask_unary(channel, metadata=THEIRS)).short == ("OK", [b"hi"])
        server, failed, well = await collector.spans(3)
    assert (server.name, server.parent, server.trace_id, server.status) == ("p.S/M", PARENT, TRACE, "unset")
    assert [(span.name, span.parent, span.status) for span in (failed, well)] == [
        ("p.S/M", server.span_id, "error"),
        ("p.S/M", server.span_id, "unset"),
    ]
    assert [seen.field("traceparent") for seen in service.seen] == [failed.traceparent, well.traceparent]
    rpc = {name: value for name, value in server.said.items() if name.startswith("rpc.")}
    assert rpc == {"rpc.system.name": "grpc", "rpc.method": "p.S/M", "rpc.response.status_code": "OK"}
    assert (failed.said["rpc.response.status_code"], failed.said["error.type"]) == ("UNAVAILABLE", "UNAVAILABLE")
    assert well.said["server.port"] == int(service.target.rpartition(":")[2])


async def test_a_stream_that_ends_with_a_status_of_its_own() -> None:
    async with (
        collecting() as collector,
        rpc_service(says(b"1", b"2", then="NOT_FOUND")) as service,
        running(routed(service.url) + collector.policy) as sidecar,
        grpc.aio.insecure_channel(sidecar.grpc) as channel,
    ):
        told = await ask(channel, b"a", method="/p.S/Stream")
        server, client = await collector.spans(2)
    assert told.short == ("NOT_FOUND", [b"1", b"2"])
    assert (server.name, server.said["rpc.method"], server.said["rpc.method_original"]) == (
        "grpc", "_OTHER", "p.S/Stream",
    )  # fmt: skip
    assert [span.said["rpc.response.status_code"] for span in (server, client)] == ["NOT_FOUND", "NOT_FOUND"]
    assert (server.status, client.status) == ("unset", "error")  # the caller's fault is none of the server's


async def test_a_caller_that_leaves() -> None:
    async with (
        collecting() as collector,
        rpc_service(hang) as service,
        running(routed(service.url) + collector.policy) as sidecar,
        grpc.aio.insecure_channel(sidecar.grpc) as channel,
    ):
        call = opened_unary(channel)
        await service.call()
        call.cancel()
        server, client = await collector.spans(2)
    assert server.said["rpc.response.status_code"] == "CANCELLED"
    assert (server.status, client.status) == ("unset", "unset")


async def test_nobody_there() -> None:
    async with (
        collecting() as collector,
        running(routed("grpc://127.0.0.1:1", route='deadline = "5s"') + collector.policy) as sidecar,
        grpc.aio.insecure_channel(sidecar.grpc) as channel,
    ):
        told = await ask(channel, b"a")
        await collector.until(lambda: any(span.kind == "server" for span in collector.taken))
    (server,) = [span for span in collector.taken if span.kind == "server"]
    assert (told.code, server.said["rpc.response.status_code"], server.status) == (
        "UNAVAILABLE",
        "UNAVAILABLE",
        "error",
    )
    assert {span.said["error.type"] for span in collector.taken if span.kind == "client"} == {
        "UNAVAILABLE"
    }  # which the client made
