"""Who may call, and what a caller may ask of us in header fields."""

from __future__ import annotations

import time

import pytest

from tests.kit.addresses import free_port
from tests.kit.peer import listening
from tests.kit.refused import refusal
from tests.kit.running import QUICK, one, request, running
from tests.kit.scripted import SILENCE, reply, scripted

HOSTS = '[listen]\nhttp = "127.0.0.1:0"\nadmin = ""\ngrpc = ""\nhosts = ["sidecar.example.org"]\norigins = ["https://app.example.org"]\n'
TOKEN = '[listen]\nhttp = "127.0.0.1:0"\nadmin = ""\ngrpc = ""\nhttp_token = "let-me-in"\n'


@pytest.mark.parametrize(
    "host",
    [
        "localhost:7070",
        "sidecar",
        "127.0.0.1",
        "[::1]:80",
        "192.168.0.7",
        "a.localhost",
        "a.b.internal",
        "sidecar.example.org",
    ],
)
async def test_a_caller_may_name_us_so(host: str) -> None:
    async with scripted() as upstream, running(one(upstream.url, more=HOSTS)) as sidecar:
        assert (await sidecar.ask("/", f"Host: {host}")).status == 200


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:7070", "sidecar.example.org.evil.com"])
async def test_a_foreign_host_is_a_page_that_has_its_own_name_resolve_to_us(host: str) -> None:
    async with listening() as upstream, running(one(upstream.url, more=HOSTS)) as sidecar:
        assert refusal(await sidecar.ask("/", f"Host: {host}")) == (403, "forbidden_host")
        assert refusal(await sidecar.ask("/health", f"Host: {host}")) == (403, "forbidden_host")
        assert upstream.pending() == 0


async def test_a_host_that_a_route_names_is_ours() -> None:
    async with scripted() as upstream:
        policy = f"""
[upstreams.a]
url = "{upstream.url}"
[routes.r]
match = {{ host = "shop.example.com", path = "/*" }}
chain = ["a"]
"""
        async with running(policy) as sidecar:
            assert (await sidecar.ask("/", "Host: shop.example.com")).status == 200
            assert refusal(await sidecar.ask("/", "Host: other.example.com")) == (403, "forbidden_host")


async def test_the_host_in_an_absolute_target_counts() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask("http://evil.example.com/", "Host: localhost")
        assert refusal(answer) == (403, "forbidden_host")
        answer = await sidecar.ask("http://localhost/x?y", "Host: evil.example.com")
        assert answer.status == 200
        assert upstream.requests[0].startswith(b"GET /x?y HTTP/1.1\r\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_page_from_elsewhere_may_not_change_anything(method: str) -> None:
    async with listening() as upstream, running(one(upstream.url, more=HOSTS)) as sidecar:
        for origin in ("https://evil.example.com", "null", "https://app.example.org.evil.com"):
            answer = await sidecar.ask("/", f"Origin: {origin}", method=method)
            assert refusal(answer) == (403, "forbidden_origin")
        assert upstream.pending() == 0


async def test_a_page_from_elsewhere_may_not_open_a_websocket() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask(
            "/", "Origin: https://evil.example.com", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"
        )
        assert refusal(answer) == (403, "forbidden_origin")
        assert upstream.pending() == 0


@pytest.mark.parametrize(
    ("method", "origin"),
    [
        ("GET", "https://evil.example.com"),
        ("HEAD", "https://evil.example.com"),
        ("POST", "http://localhost:3000"),
        ("POST", "http://127.0.0.1:3000"),
        ("POST", "https://app.example.org"),
        ("POST", ""),
    ],
)
async def test_who_reads_or_is_from_here_may_call(method: str, origin: str) -> None:
    async with scripted() as upstream, running(one(upstream.url, more=HOSTS)) as sidecar:
        fields = (f"Origin: {origin}",) if origin else ()
        assert (await sidecar.ask("/", *fields, method=method)).status == 200


async def test_with_a_token_set_nobody_calls_without_it() -> None:
    async with scripted() as upstream, running(one(upstream.url, more=TOKEN, path="/api/*")) as sidecar:
        for fields in ((), ("X-Sidecar-Token: wrong",), ("X-Sidecar-Token: let-me-in2",)):
            assert refusal(await sidecar.ask("/api/x", *fields)) == (403, "forbidden_token")
            assert refusal(await sidecar.ask("/metrics", *fields)) == (403, "forbidden_token")
            assert (await sidecar.ask("/livez", *fields)).status == 200
            assert (await sidecar.ask("/readyz", *fields)).status == 200
        assert upstream.requests == []
        assert (await sidecar.ask("/metrics", "X-Sidecar-Token: let-me-in")).status == 200
        assert (await sidecar.ask("/api/x", "x-sidecar-token: let-me-in")).status == 200
        assert "x-sidecar-token" not in upstream.fields()


async def test_x_sidecar_timeout_is_the_callers_own_deadline() -> None:
    async with scripted(SILENCE) as upstream, running(one(upstream.url)) as sidecar:
        began = time.monotonic()
        answer = await sidecar.ask("/", "X-Sidecar-Timeout: 50ms")
        assert refusal(answer) == (504, "deadline_exceeded")
        assert time.monotonic() - began >= 0.05


async def test_a_timeout_that_is_no_duration_is_refused() -> None:
    async with listening() as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask("/", "X-Sidecar-Timeout: soon")
        assert refusal(answer) == (400, "invalid_request")
        assert upstream.pending() == 0


@pytest.mark.parametrize("name", ["x-stainless-read-timeout", "x-stainless-timeout"])
async def test_an_sdk_that_waits_a_second_gets_its_answer_before(name: str) -> None:
    async with scripted(SILENCE) as upstream, running(one(upstream.url)) as sidecar:
        assert (await sidecar.ask("/", f"{name}: 0.8")).status == 504
        assert len(upstream.requests) == 1


async def test_a_caller_may_do_without_retries() -> None:
    async with scripted(reply("503 No")) as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        answer = await sidecar.ask("/", "X-Sidecar-Retry: off")
        assert (answer.status, len(upstream.requests)) == (503, 1)


async def test_a_caller_may_do_without_fallback() -> None:
    async with scripted() as good:
        policy = f"""
[policies.default.retry]
tries = 1
[upstreams.dead]
url = "http://127.0.0.1:{free_port()}"
[upstreams.good]
url = "{good.url}"
[routes.r]
match = {{ path = "/*" }}
chain = ["dead", "good"]
"""
        async with running(policy) as sidecar:
            assert refusal(await sidecar.ask("/", "X-Sidecar-Fallback: off")) == (502, "upstream_connect_failed")
            assert (await sidecar.ask("/")).status == 200


@pytest.mark.parametrize("field", ["X-Sidecar-Idempotent: true", "Idempotency-Key: k-1"])
async def test_a_caller_may_say_that_a_post_is_safe_to_send_twice(field: str) -> None:
    async with scripted(reply("503 No"), reply(body=b"ok")) as upstream:
        async with running(one(upstream.url, more=QUICK)) as sidecar:
            answer = await sidecar.ask("/", field, method="POST", body=b"hello")
        assert (answer.status, answer.fields["x-sidecar-attempts"]) == (200, "2")
        assert upstream.bodies == [b"hello", b"hello"]


async def test_behind_a_trusted_proxy_its_word_counts_for_who_called() -> None:
    listen = '[listen]\nhttp = "127.0.0.1:0"\nadmin = ""\ngrpc = ""\ntrusted = ["127.0.0.0/8", "10.0.0.0/8"]\n'
    limit = 'rate_limit = { per_minute = 1, key = "ip" }'
    async with scripted() as upstream, running(one(upstream.url, route=limit, more=listen)) as sidecar:
        statuses = [
            (await sidecar.ask("/", f"X-Forwarded-For: {chain}")).status
            for chain in ("1.1.1.1", "2.2.2.2", "9.9.9.9, 1.1.1.1", "1.1.1.1, 10.0.0.3")
        ]
        assert statuses == [200, 200, 429, 429]


async def test_a_strangers_word_does_not() -> None:
    limit = 'rate_limit = { per_minute = 1, key = "ip" }'
    async with scripted() as upstream, running(one(upstream.url, route=limit)) as sidecar:
        statuses = [(await sidecar.ask("/", f"X-Forwarded-For: {n}.{n}.{n}.{n}")).status for n in (1, 2)]
        assert statuses == [200, 429]


async def test_hosts_and_origins_are_those_of_the_policy_file_as_it_is_now() -> None:
    async with scripted() as upstream, running(one(upstream.url, more=HOSTS)) as sidecar:
        caller = await sidecar.caller()
        caller.send(request("/", "Host: other.example.org"))
        assert (await caller.answer()).status == 403
        sidecar.file.write_text(sidecar.file.read_text().replace("sidecar.example.org", "other.example.org"))
        await sidecar.daemon.reload()
        caller.send(request("/", "Host: other.example.org"))
        assert (await caller.answer()).status == 200
