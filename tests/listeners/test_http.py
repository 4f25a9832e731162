"""Each answer of our own over HTTP: its code, status and shape; and the paths that the listener answers itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.listeners.http import HttpListener
from tests.kit.addresses import free_port
from tests.kit.peer import listening
from tests.kit.refused import refusal, told
from tests.kit.running import QUICK, one, request, running
from tests.kit.scripted import CLOSE, RESET, SILENCE, reply, scripted

NOWHERE = "http://127.0.0.1:1"
FRAIL = "circuit_breaker = { failure_threshold = 1 }"


async def test_no_route() -> None:
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        answer = await sidecar.ask("/other?secret=1")
    assert refusal(answer) == (404, "no_route")
    assert told(answer)["message"] == "no route matches GET /other"
    assert answer.fields["proxy-status"].startswith("sidecar; error=destination_not_found")
    assert answer.fields["x-sidecar-error-category"] == "invalid_request"


async def test_a_wrong_method_is_told_the_right_ones() -> None:
    policy = f"""
[upstreams.a]
url = "{NOWHERE}"
[routes.read]
match = {{ path = "/things", methods = ["GET", "HEAD"] }}
chain = ["a"]
[routes.change]
match = {{ path = "/things", methods = ["PUT"] }}
chain = ["a"]
"""
    async with running(policy) as sidecar:
        answer = await sidecar.ask("/things", method="DELETE")
    assert refusal(answer) == (405, "no_route")
    assert answer.fields["allow"] == "GET, HEAD, PUT"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "invalid_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid_request"),
        (b"GET / SMTP/1.1\r\n\r\n", 400, "invalid_request"),
        (b"GET /\r\n\r\n", 400, "invalid_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "not_implemented"),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "not_implemented"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_not_supported"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "version_not_supported"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431, "header_too_large"),
        (b"GET /" + b"x" * 80_000, 431, "header_too_large"),
    ],
)
async def test_what_cannot_be_read_as_a_request(sent: bytes, status: int, code: str) -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(sent)
        answer = await caller.answer()
        assert refusal(answer) == (status, code)
        assert answer.fields["connection"] == "close"
        assert await caller.ended() == b""
        assert upstream.pending() == 0


@pytest.mark.parametrize("fields", [("Content-Length: 11",), ()])
async def test_a_body_beyond_the_limit(fields: tuple[str, ...]) -> None:
    limits = "[limits]\nmax_body_bytes = 10\n"
    async with scripted() as upstream, running(one(upstream.url, more=limits)) as sidecar:
        assert (await sidecar.ask("/", method="POST", body=b"x" * 10)).status == 200
        answer = await sidecar.ask("/", *fields, method="POST", body=b"x" * 11)
        assert refusal(answer) == (413, "body_too_large")
        assert len(upstream.requests) == 1


async def test_a_chunked_body_beyond_the_limit() -> None:
    """The upstream has part of it by then: it must see the connection end, and no last chunk."""
    limits = "[limits]\nmax_body_bytes = 10\n"
    async with listening() as upstream, running(one(upstream.url, more=limits)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        peer = await upstream.accept()
        await peer.request()
        assert await peer.receive(10) == b"5\r\nhello\r\n"
        caller.send(b"6\r\n world\r\n")
        assert refusal(await caller.answer()) == (413, "body_too_large")
        assert await peer.ended()


async def test_a_loop_is_detected() -> None:
    port = free_port()
    listen = f'[listen]\nhttp = "127.0.0.1:{port}"\nadmin = ""\ngrpc = ""\n'
    async with running(one(f"http://127.0.0.1:{port}", more=listen)) as sidecar:
        answer = await sidecar.ask("/", method="POST")
    assert refusal(answer) == (508, "loop_detected")


async def test_eight_sidecars_in_a_row_are_a_loop() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        vias = [f"1.1 sidecar-{number:016x}" for number in range(8)]
        assert (await sidecar.ask("/", f"Via: {', '.join(vias[:7])}")).status == 200
        assert refusal(await sidecar.ask("/", f"Via: {', '.join(vias)}")) == (508, "loop_detected")


async def test_a_rate_limit_of_ours() -> None:
    limit = "rate_limit = { per_minute = 1, per_hour = 9 }"
    async with scripted() as upstream, running(one(upstream.url, route=limit)) as sidecar:
        await sidecar.ask("/")
        answer = await sidecar.ask("/")
        assert len(upstream.requests) == 1
    assert refusal(answer) == (429, "rate_limited")
    assert told(answer)["type"] == "rate_limit_exceeded"
    assert 55 <= told(answer)["retry_after"] <= 60
    detail = json.loads(answer.body)["detail"]
    assert detail == {
        "error": "rate limit of r exceeded",
        "limit_per_minute": 1,
        "limit_per_hour": 9,
        "retry_after": told(answer)["retry_after"],
    }
    assert 55_000 <= int(answer.fields["retry-after-ms"]) <= 60_000
    assert "x-should-retry" not in answer.fields


async def test_every_target_rests() -> None:
    impatient = QUICK + 'max_retry_after = "1s"\npatience = "0s"\n'
    throttled = reply("429 No", "Retry-After: 30")
    async with scripted(throttled) as upstream, running(one(upstream.url, more=impatient)) as sidecar:
        assert (await sidecar.ask("/")).status == 429
        answer = await sidecar.ask("/")
        assert len(upstream.requests) == 1
    assert refusal(answer) == (429, "rate_limited")
    assert told(answer)["retry_after"] == 30


async def test_an_open_circuit() -> None:
    async with scripted(reply("500 No")) as upstream, running(one(upstream.url, upstream=FRAIL)) as sidecar:
        await sidecar.ask("/", method="POST")
        answer = await sidecar.ask("/")
        assert len(upstream.requests) == 1
    assert refusal(answer) == (503, "circuit_open")
    assert told(answer)["message"] == "Circuit breaker 'a' is OPEN"
    assert told(answer)["type"] == "service_unavailable"
    assert told(answer)["retry_after"] == 5


@pytest.mark.parametrize(
    ("route", "more"),
    [
        ("", "[limits]\nmax_inflight = 1\n"),
        ("concurrency = { max = 1 }", ""),
        ("limits = { max_inflight = 1 }", ""),
        ("limits = { max_inflight = 1 }\nconcurrency = { max = 9 }", ""),
    ],
)
async def test_too_many_at_once(route: str, more: str) -> None:
    async with listening() as upstream, running(one(upstream.url, route=route, more=more)) as sidecar:
        first = await sidecar.caller()
        first.send(request("/"))
        peer = await upstream.accept()
        answer = await sidecar.ask("/")
        assert refusal(answer) == (503, "overloaded")
        assert answer.fields["retry-after-ms"] == "1000"
        assert "x-should-retry" not in answer.fields
        await peer.request()
        peer.say(reply(body=b"served"))
        assert (await first.answer()).body == b"served"


async def test_nobody_listens() -> None:
    async with running(one(f"http://127.0.0.1:{free_port()}", more=QUICK)) as sidecar:
        answer = await sidecar.ask("/")
    assert refusal(answer) == (502, "upstream_connect_failed")
    assert answer.fields["proxy-status"].startswith("sidecar; error=connection_refused")


@pytest.mark.parametrize("fault", [CLOSE, RESET])
async def test_the_upstream_hangs_up(fault: bytes) -> None:
    async with scripted(fault) as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        assert refusal(await sidecar.ask("/")) == (502, "upstream_reset")
        assert len(upstream.requests) == 3
        assert refusal(await sidecar.ask("/", method="POST")) == (502, "upstream_reset")
        assert len(upstream.requests) == 4


async def test_the_upstream_talks_nonsense() -> None:
    async with scripted(b"SMTP ready\r\n\r\n") as upstream, running(one(upstream.url)) as sidecar:
        assert refusal(await sidecar.ask("/")) == (502, "upstream_protocol_error")
        assert len(upstream.requests) == 1


async def test_no_answer_in_time() -> None:
    async with scripted(SILENCE) as upstream, running(one(upstream.url, route='deadline = "50ms"')) as sidecar:
        answer = await sidecar.ask("/")
        assert refusal(answer) == (504, "deadline_exceeded")
        assert len(upstream.requests) == 1


async def test_a_bug_of_ours_is_answered_and_logged_and_told_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(HttpListener, "_relay", broken)
    async with scripted() as upstream, running(one(upstream.url), bug=True) as sidecar:
        answer = await sidecar.ask("/", "X-Request-ID: i-1")
        line = await sidecar.log.saying("internal error")
    assert refusal(answer) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert told(answer)["type"] == "internal_server_error"
    assert "a secret of ours" in line["exception"]
    assert line["request_id"] == "i-1"


async def test_openais_clients_read_their_own_shape() -> None:
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        answer = await sidecar.ask("/v1/chat/completions", method="POST")
    assert answer.status == 404
    error = json.loads(answer.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "no_route"


async def test_anthropics_clients_read_theirs() -> None:
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        answer = await sidecar.ask("/v1/messages", "anthropic-version: 2023-06-01", "X-Request-ID: i", method="POST")
    document = json.loads(answer.body)
    assert answer.status == 404
    assert (document["type"], document["request_id"]) == ("error", "i")
    assert document["error"]["type"] == "not_found_error"


async def test_the_correlation_id_is_in_the_body() -> None:
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        assert told(await sidecar.ask("/", "X-Correlation-ID: c-1"))["correlation_id"] == "c-1"


@pytest.mark.parametrize("path", ["/health", "/metrics", "/circuit-breakers", "/livez", "/readyz"])
async def test_the_sidecars_own_paths_are_answered_where_no_route_takes_them(path: str) -> None:
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        answer = await sidecar.ask(path)
        assert answer.status == 200
        assert answer.fields["cache-control"] == "no-store"
        assert (await sidecar.ask(path, method="HEAD")).body == b""
        assert (await sidecar.ask(path, method="POST")).status in (404, 405)


async def test_a_route_comes_before_the_sidecars_own_paths() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        assert (await sidecar.ask("/health")).body == b"ok"
        assert len(upstream.requests) == 1


async def test_health_tells_of_an_open_circuit() -> None:
    async with (
        scripted(reply("500 No")) as upstream,
        running(one(upstream.url, upstream=FRAIL, path="/api/*")) as sidecar,
    ):
        assert json.loads((await sidecar.ask("/health")).body)["status"] == "healthy"
        await sidecar.ask("/api/x", method="POST")
        answer = await sidecar.ask("/health")
        breakers = json.loads((await sidecar.ask("/circuit-breakers")).body)
    assert (answer.status, json.loads(answer.body)["status"]) == (503, "unhealthy")
    assert breakers["a"]["state"] == "open"


async def test_a_request_that_cannot_be_read_is_answered_with_ids_that_the_log_has_too() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        answer = await caller.answer()
        assert answer.status == 400
        assert "date" in answer.fields
        request_id = answer.fields["x-sidecar-request-id"]
        assert answer.fields["x-request-id"] == answer.fields["x-correlation-id"] == request_id
        assert json.loads(answer.body)["error"]["correlation_id"] == request_id
        line = await sidecar.log.saying("unreadable request")
        assert (line["request_id"], line["outcome"]) == (request_id, "invalid_request")


async def test_the_log_tells_the_size_of_an_answer_of_our_own() -> None:
    async with running(one(NOWHERE, path="/api/*")) as sidecar:
        answer = await sidecar.ask("/other")
        line = await sidecar.log.call(answer.fields["x-request-id"])
    assert line["bytes_out"] == len(answer.body) > 0
