"""What a collector gets of HTTP calls: whole traces, by OpenTelemetry's conventions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.otlp import collecting
from tests.kit.peer import listening
from tests.kit.running import QUICK, one, request, running, until
from tests.kit.scripted import OK, SILENCE, reply, scripted
from tests.wire.test_resilience import chain

if TYPE_CHECKING:
    from tests.kit.otlp import Span

pytestmark = pytest.mark.usefixtures("spans_at_once")

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
THEIRS = f"traceparent: 00-{TRACE}-{PARENT}-01"


def said(span: Span, *names: str) -> list[Any]:
    return [span.said.get(name) for name in names]


async def test_a_call_that_was_tried_again_and_fell_back() -> None:
    async with (
        collecting() as collector,
        scripted(reply("503 Busy")) as a,
        scripted(OK) as b,
        running(chain(a.url, b.url, more=QUICK + "tries = 2\n") + collector.policy) as sidecar,
    ):
        answer = await sidecar.ask(
            "/x?key=hunter2", THEIRS, "tracestate: vendor=1", "User-Agent: app/1", "X-Request-ID: i-1"
        )
        line = await sidecar.log.call("i-1")
        server, *clients = await collector.spans(4)
    assert answer.status == 200
    assert line["trace_id"] == TRACE
    assert (server.name, server.kind, server.parent, server.status) == ("GET /*", "server", PARENT, "unset")
    assert {span.trace_id for span in (server, *clients)} == {TRACE}
    assert {span.state for span in (server, *clients)} == {"vendor=1"}
    assert {span.message for span in (server, *clients)} == {""}
    assert [(span.name, span.kind, span.parent, span.status) for span in clients] == [
        ("GET a", "client", server.span_id, "error"),
        ("GET a", "client", server.span_id, "error"),
        ("GET b", "client", server.span_id, "unset"),
    ]
    assert [said(span, "http.request.resend_count", "sidecar.attempt", "error.type") for span in clients] == [
        [None, 1, "503"],
        [1, 2, "503"],
        [None, 3, None],
    ]
    seen = [a.fields(0)["traceparent"], a.fields(1)["traceparent"], b.fields()["traceparent"]]
    assert seen == [span.traceparent for span in clients]
    assert a.fields(0)["tracestate"] == "vendor=1"
    assert [name for name, _ in server.events] == ["sidecar.wait", "sidecar.fallback"]
    assert server.events[0][1]["sidecar.wait.reason"] == "server_error"
    assert server.events[1][1] == {
        "sidecar.fallback.from": "a",
        "sidecar.fallback.to": "b",
        "sidecar.fallback.reason": "server_error",
    }
    assert {**server.said, "server.address": ""} == {
        "http.request.method": "GET", "http.route": "/*", "url.path": "/x", "url.scheme": "http",
        "http.response.status_code": 200, "server.address": "", "client.address": "127.0.0.1",
        "user_agent.original": "app/1", "sidecar.route": "r", "sidecar.upstream": "b", "sidecar.attempts": 3,
        "sidecar.outcome": "ok", "sidecar.config": 1, "sidecar.request_id": "i-1",
    }  # fmt: skip
    assert clients[2].said == {
        "http.request.method": "GET", "http.response.status_code": 200, "network.protocol.version": "1.1",
        "server.address": "127.0.0.1", "server.port": int(b.url.rpartition(":")[2]),
        "sidecar.upstream": "b", "sidecar.attempt": 3, "sidecar.outcome": "ok",
    }  # fmt: skip
    assert server.start <= clients[0].start < clients[0].end <= clients[1].start < clients[2].end <= server.end
    assert server.resource["service.name"] == "sidecar"
    assert {"service.version", "service.instance.id"} < server.resource.keys()
    assert "hunter2" not in str((server, clients))


async def test_a_call_without_a_trace_begins_one() -> None:
    async with (
        collecting() as collector,
        scripted(OK) as a,
        running(one(a.url) + collector.policy) as sidecar,
    ):
        await sidecar.ask("/", "traceparent: 00-nonsense", "tracestate: a=b", "X-Request-ID: i-1")
        line = await sidecar.log.call("i-1")
        server, client = await collector.spans(2)
    assert server.parent == ""
    assert client.parent == server.span_id
    assert server.trace_id == client.trace_id == line["trace_id"]
    assert a.fields()["traceparent"] == client.traceparent
    assert "tracestate" not in a.fields()
    assert {server.state, client.state} == {""}


async def test_a_caller_that_is_not_traced_is_not_and_its_upstream_is_told_so() -> None:
    theirs = f"00-{TRACE}-{PARENT}-00"
    async with (
        collecting() as collector,
        scripted(OK) as a,
        running(one(a.url) + collector.policy) as sidecar,
    ):
        await sidecar.ask("/off", f"traceparent: {theirs}")
        await sidecar.ask("/on", THEIRS)
        server, _client = await collector.spans(2)
    assert a.fields(0)["traceparent"] == theirs
    assert server.said["url.path"] == "/on"


@pytest.mark.parametrize(("sampler", "argument"), [("always_off", ""), ("parentbased_traceidratio", "0")])
async def test_the_sampler_of_the_environment_counts(
    sampler: str, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    async with (
        collecting() as collector,
        scripted(OK) as a,
        running(one(a.url) + collector.policy) as sidecar,
    ):
        await sidecar.ask("/", "X-Request-ID: i-1")
        line = await sidecar.log.call("i-1")
    version, trace, span, flags = a.fields()["traceparent"].split("-")
    assert (version, trace, flags) == ("00", line["trace_id"], "00")
    assert int(span, 16)
    assert collector.requests == 0


async def test_what_is_refused_by_us_has_a_span_and_no_attempt() -> None:
    limited = "rate_limit = { per_minute = 1, max_wait = 0 }"
    async with (
        collecting() as collector,
        scripted(OK) as a,
        running(one(a.url, route=limited, path="/a") + collector.policy) as sidecar,
    ):
        for path in ("/a", "/a", "/elsewhere"):
            await sidecar.ask(path, method="POST")
        well, _attempt, limit, nowhere = await collector.spans(4)
    assert said(well, "sidecar.outcome", "sidecar.attempts") == ["ok", 1]
    assert said(limit, "sidecar.outcome", "http.response.status_code", "sidecar.attempts", "error.type") == [
        "rate_limited", 429, 0, None,
    ]  # fmt: skip
    assert limit.status == "unset"  # the caller's fault is none of the server's
    assert (nowhere.name, nowhere.status) == ("POST", "unset")
    assert said(nowhere, "sidecar.outcome", "http.response.status_code", "http.route", "sidecar.route") == [
        "no_route", 404, None, None,
    ]  # fmt: skip


async def test_an_open_breaker_is_told_where_it_opened_and_where_it_refused() -> None:
    breaker = "circuit_breaker = { failure_threshold = 1 }"
    async with (
        collecting() as collector,
        scripted(reply("500 No")) as a,
        running(one(a.url, upstream=breaker) + collector.policy) as sidecar,
    ):
        for _ in range(2):
            await sidecar.ask("/", method="POST")
        opened, _attempt, refused = await collector.spans(3)
    assert opened.events == [
        ("sidecar.breaker", {"sidecar.breaker": "a", "sidecar.breaker.from": "closed", "sidecar.breaker.to": "open"})
    ]
    assert (opened.status, opened.said["error.type"]) == ("error", "500")
    assert refused.events == [("sidecar.skip", {"sidecar.target": "a", "sidecar.skip.reason": "circuit_open"})]
    assert (refused.status, refused.said["error.type"]) == ("error", "circuit_open")


async def test_an_upstream_that_is_not_there() -> None:
    async with (
        collecting() as collector,
        scripted(b"<reset>") as a,
        running(one(a.url) + collector.policy) as sidecar,
    ):
        await sidecar.ask("/", method="POST", body=b"x")
        server, client = await collector.spans(2)
    assert (server.status, client.status) == ("error", "error")
    assert (server.said["error.type"], client.said["error.type"]) == ("upstream_reset", "reset")
    assert "http.response.status_code" not in client.said


async def test_a_caller_that_leaves_is_nobody_s_error() -> None:
    async with (
        collecting() as collector,
        scripted(SILENCE) as a,
        running(one(a.url) + collector.policy) as sidecar,
    ):
        caller = await sidecar.caller()
        caller.send(request("/", "X-Request-ID: i-1"))
        await until(lambda: bool(a.requests))
        await caller.close()
        server, client = await collector.spans(2)
    assert (server.status, client.status) == ("unset", "unset")
    assert said(server, "sidecar.outcome", "http.response.status_code", "error.type") == ["caller_left", None, None]
    assert said(client, "sidecar.outcome", "error.type") == ["caller_left", None]


async def test_a_stream_that_broke_is_an_error_though_its_status_was_well() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n"
    async with (
        collecting() as collector,
        scripted(cut) as a,
        running(one(a.url, upstream='timeout = { idle = "50ms" }') + collector.policy) as sidecar,
    ):
        caller = await sidecar.caller()
        caller.send(request("/"))
        await caller.head()
        server, client = await collector.spans(2)
    assert said(server, "http.response.status_code", "error.type", "sidecar.outcome") == [200, "broke", "broke"]
    assert said(client, "http.response.status_code", "error.type") == [200, "broke"]
    assert (server.status, client.status) == ("error", "error")


async def test_a_tunnel_is_one_call_as_long_as_it_lasts() -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with (
        collecting() as collector,
        listening() as a,
        running(one(a.url) + collector.policy) as sidecar,
    ):
        caller = await sidecar.caller()
        caller.send(request("/chat", "Connection: Upgrade", "Upgrade: websocket"))
        peer = await a.accept()
        await peer.request()
        peer.say(switching)
        assert (await caller.head()).status == 101
        assert collector.taken == []
        await caller.close()
        assert await peer.ended()
        peer.end()
        server, client = await collector.spans(2)
    assert [span.said["http.response.status_code"] for span in (server, client)] == [101, 101]


async def test_a_static_answer_has_no_attempt() -> None:
    policy = """
[static.gone]
status = 410
[routes.r]
match = { path = "/*" }
chain = ["static/gone"]
"""
    async with collecting() as collector, running(policy + collector.policy) as sidecar:
        await sidecar.ask("/")
        (server,) = await collector.spans(1)
    assert said(server, "sidecar.upstream", "http.response.status_code", "sidecar.attempts") == ["static/gone", 410, 0]


async def test_of_several_addresses_the_one_that_was_used_is_told() -> None:
    async with (
        collecting() as collector,
        scripted(OK) as first,
        scripted(OK) as second,
        running(
            f"""
[upstreams.a]
urls = {json.dumps([first.url, second.url])}
[routes.r]
match = {{ path = "/*" }}
chain = ["a"]
"""
            + collector.policy
        ) as sidecar,
    ):
        for _ in range(4):
            await sidecar.ask("/")
        spans = await collector.spans(8)
    ports = {span.traceparent: span.said["server.port"] for span in spans if span.kind == "client"}
    for upstream in (first, second):
        for number in range(len(upstream.requests)):
            assert ports[upstream.fields(number)["traceparent"]] == int(upstream.url.rpartition(":")[2])


async def test_a_method_of_nobody_s_is_other() -> None:
    async with (
        collecting() as collector,
        scripted(OK) as a,
        running(one(a.url) + collector.policy) as sidecar,
    ):
        await sidecar.ask("/", method="PROPFIND")
        server, client = await collector.spans(2)
    assert (server.name, client.name) == ("HTTP /*", "HTTP a")
    assert said(server, "http.request.method", "http.request.method_original") == ["_OTHER", "PROPFIND"]
