"""What comes back: the upstream's fields, and what we say beside them (contract, "What is added to traffic")."""

from __future__ import annotations

import re
import time

import pytest

from tests.kit.addresses import free_port
from tests.kit.peer import listening
from tests.kit.running import QUICK, one, running
from tests.kit.scripted import CLOSE, OK, reply, scripted

OURS = {
    "x-sidecar-request-id",
    "x-correlation-id",
    "x-request-id",
    "x-sidecar-route",
    "x-sidecar-upstream",
    "x-sidecar-attempts",
    "x-sidecar-config",
}


async def test_a_reply_passes_byte_for_byte_and_what_is_ours_is_beside_it() -> None:
    said = (
        b"HTTP/1.1 299 Quite Fine\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nsErVeR: \xe9\xff\r\nSet-Cookie: a=1\r\n"
        b"Set-Cookie: b=2\r\nConnection: X-Private\r\nX-Private: mine\r\nKeep-Alive: 5\r\nContent-Length: 2\r\n\r\nok"
    )
    async with scripted(said) as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: i-1\r\nConnection: close\r\n\r\n")
        head, _, body = (await caller.ended()).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:5] == [
        b"HTTP/1.1 299 Quite Fine",
        b"Date: Sat, 01 Jan 2000 00:00:00 GMT",
        b"sErVeR: \xe9\xff",
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2",
    ]
    assert sorted(lines[5:]) == [
        b"Connection: close",
        b"Content-Length: 2",
        b"X-Correlation-ID: i-1",
        b"X-Request-ID: i-1",
        b"X-Sidecar-Attempts: 1",
        b"X-Sidecar-Config: 1",
        b"X-Sidecar-Request-ID: i-1",
        b"X-Sidecar-Route: r",
        b"X-Sidecar-Upstream: a",
    ]
    assert body == b"ok"


async def test_what_an_upstream_says_in_our_name_is_replaced_but_not_its_request_id() -> None:
    said = reply("200 OK", *(f"{name}: theirs" for name in sorted(OURS)))
    async with scripted(said) as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask("/", "X-Request-ID: i-1", "X-Correlation-ID: c-1")
    assert answer.fields["x-request-id"] == "theirs"
    assert answer.fields["x-correlation-id"] == "c-1"
    assert "theirs" not in {answer.fields[name] for name in OURS - {"x-request-id"}}


async def test_a_success_has_no_category() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        assert set((await sidecar.ask("/")).fields) == OURS | {"date", "content-length"}


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (429, "rate_limit"), (500, "server"), (503, "server"), (529, "server"), (599, "server"), (408, "server"),
        (400, "invalid_request"), (404, "invalid_request"), (409, "invalid_request"), (413, "invalid_request"),
        (422, "invalid_request"), (401, "auth"), (403, "auth"), (402, "unknown"), (418, "unknown"),
    ],
)  # fmt: skip
async def test_what_is_not_a_success_has_its_category(status: int, category: str) -> None:
    async with scripted(reply(f"{status} No")) as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask("/", "X-Sidecar-Retry: off")
    assert (answer.status, answer.fields["x-sidecar-error-category"]) == (status, category)
    assert "proxy-status" not in answer.fields  # it is not ours


async def test_attempts_are_counted_and_after_two_failures_of_ours_the_caller_need_not_retry() -> None:
    script = reply("503 No"), reply("503 No"), OK, reply("500 No")
    unbroken = "circuit_breaker = false"
    async with scripted(*script) as upstream, running(one(upstream.url, upstream=unbroken, more=QUICK)) as sidecar:
        survived = await sidecar.ask("/")
        failed = await sidecar.ask("/")
        once = await sidecar.ask("/", method="POST")
    assert (survived.status, survived.fields["x-sidecar-attempts"]) == (200, "3")
    assert "x-should-retry" not in survived.fields
    assert (failed.status, failed.fields["x-sidecar-attempts"]) == (500, "3")
    assert failed.fields["x-should-retry"] == "false"
    assert (once.fields["x-sidecar-attempts"], "x-should-retry" in once.fields) == ("1", False)


async def test_the_upstreams_own_word_on_retrying_stands() -> None:
    said = reply("503 No", "X-Should-Retry: true")
    async with scripted(said) as upstream, running(one(upstream.url, more=QUICK)) as sidecar:
        answer = await sidecar.ask("/")
    assert (answer.fields["x-sidecar-attempts"], answer.fields["x-should-retry"]) == ("3", "true")


async def test_our_own_error_after_failed_attempts_says_so_too() -> None:
    async with running(one(f"http://127.0.0.1:{free_port()}", more=QUICK)) as sidecar:
        answer = await sidecar.ask("/")
    assert answer.status == 502
    assert answer.fields["x-should-retry"] == "false"
    assert answer.fields["x-sidecar-attempts"] == "3"
    assert answer.fields["x-sidecar-error-category"] == "server"
    assert answer.fields["x-sidecar-upstream"] == "a"
    assert answer.fields["x-sidecar-route"] == "r"


async def test_a_body_too_long_to_send_again_is_told() -> None:
    more = QUICK + "replay_buffer = 4\n"
    async with listening() as upstream, running(one(upstream.url, more=more)) as sidecar:
        caller = await sidecar.caller()
        caller.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
        peer = await upstream.accept()
        await peer.request()
        caller.send(b"56789")
        assert await peer.receive(10) == b"0123456789"
        peer.say(reply("503 No"))
        answer = await caller.answer()
    assert (answer.status, answer.fields.get("x-sidecar-replay")) == (503, "off")
    assert answer.fields["x-sidecar-attempts"] == "1"


async def test_a_rate_limit_tells_what_is_left() -> None:
    limit = 'rate_limit = { per_minute = 3, per_hour = 100, key = "header:X-Tenant-ID" }'
    async with scripted() as upstream, running(one(upstream.url, route=limit)) as sidecar:
        now = time.time()
        answer = await sidecar.ask("/", "X-Tenant-ID: a")
        fields = answer.fields
        assert fields["ratelimit-policy"] == '"minute";q=3;w=60, "hour";q=100;w=3600'
        assert re.fullmatch(r'"minute";r=2;t=\d+, "hour";r=99;t=\d+', fields["ratelimit"])
        assert (fields["x-ratelimit-limit-minute"], fields["x-ratelimit-remaining-minute"]) == ("3", "2")
        assert (fields["x-ratelimit-limit-hour"], fields["x-ratelimit-remaining-hour"]) == ("100", "99")
        assert now < int(fields["x-ratelimit-reset-minute"]) < now + 63
        assert now < int(fields["x-ratelimit-reset-hour"]) < now + 100
        await sidecar.ask("/", "X-Tenant-ID: a")
        await sidecar.ask("/", "X-Tenant-ID: a")
        refused = await sidecar.ask("/", "X-Tenant-ID: a")
        other = await sidecar.ask("/", "X-Tenant-ID: b")
    assert (refused.status, refused.fields["x-ratelimit-remaining-minute"]) == (429, "0")
    assert other.status == 200


@pytest.mark.parametrize(
    ("upstream_keys", "kept"),
    [
        ("", True),
        ('headers = { X-Tenant = "a" }', True),
        ('headers = { Authorization = "Bearer ours" }', False),
        ('headers = { X-API-Key = "ours" }', False),
        ('headers = { X-API-Key = "" }', True),
        ('default_headers = { Authorization = "Bearer ours" }', False),
    ],
)
async def test_pages_may_not_read_what_our_credential_bought(upstream_keys: str, kept: bool) -> None:
    said = reply("200 OK", "Access-Control-Allow-Origin: *", "access-control-expose-headers: X", "X-Other: 1")
    async with scripted(said) as upstream, running(one(upstream.url, upstream=upstream_keys)) as sidecar:
        fields = (await sidecar.ask("/")).fields
    assert ("access-control-allow-origin" in fields, "access-control-expose-headers" in fields) == (kept, kept)
    assert fields["x-other"] == "1"


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("{origin}/new?q#f", "http://sidecar/new?q#f"),
        ("{origin}", "http://sidecar"),
        ("{origin}0/", "{origin}0/"),
        ("http://elsewhere.example/x", "http://elsewhere.example/x"),
        ("/relative", "/relative"),
    ],
)
async def test_a_location_at_the_upstream_leads_back_through_us(location: str, seen: str) -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        upstream.script[:] = [reply("302 Found", f"Location: {location.format(origin=upstream.url)}")]
        assert (await sidecar.ask("/")).fields["location"] == seen.format(origin=upstream.url)


async def test_a_location_gets_back_the_prefix_that_the_route_took_off() -> None:
    async with scripted() as upstream:
        policy = one(f"{upstream.url}/base", route='strip = "/v1"', path="/v1/*")
        async with running(policy) as sidecar:
            upstream.script[:] = [reply("302 Found", f"Location: {upstream.url}/base/new")]
            assert (await sidecar.ask("/v1/old")).fields["location"] == "http://sidecar/v1/new"


async def test_a_location_for_a_caller_that_named_no_host_has_none_either() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        upstream.script[:] = [reply("302 Found", f"Location: {upstream.url}/new")]
        caller = await sidecar.caller()
        caller.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await caller.answer()).fields["location"] == "/new"


async def test_server_timing_when_asked_for() -> None:
    timed = "[telemetry]\nserver_timing = true\n"
    async with scripted() as upstream, running(one(upstream.url, more=timed)) as sidecar:
        timing = (await sidecar.ask("/")).fields["server-timing"]
    assert re.fullmatch(r'total;dur=\d+\.\d;desc="attempts=1"', timing)


async def test_a_refusal_of_ours_carries_the_ids_too() -> None:
    async with scripted(CLOSE) as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask("/", "X-Request-ID: i-1", method="POST")
    assert answer.status == 502
    assert answer.fields["x-request-id"] == answer.fields["x-sidecar-request-id"] == "i-1"
    assert answer.fields["x-sidecar-config"] == "1"
