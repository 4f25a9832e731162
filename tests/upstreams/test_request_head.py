"""What goes upstream: the caller's own bytes, less what ends here, and what is added (RFC 9110, section 7.6)."""

from __future__ import annotations

import re

import pytest

from tests.kit.running import one, request, running
from tests.kit.scripted import scripted

OURS = {"x-request-id", "x-correlation-id", "traceparent", "via"}


async def test_a_request_passes_byte_for_byte_but_for_what_is_ours() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        caller = await sidecar.caller()
        caller.send(
            b"GET /a%2Fb//c/../d;e=1?q=%20+&q=~|{} HTTP/1.1\r\nHost: sidecar\r\nX-CamelCase:  two  spaces\r\n"
            b"accept: a\r\nACCEPT: b\r\nX-Bytes: \xe9\xff\r\nX-Empty:\r\n\r\n"
        )
        assert (await caller.answer()).status == 200
    head = upstream.requests[0]
    assert head.startswith(
        b"GET /a%2Fb//c/../d;e=1?q=%20+&q=~|{} HTTP/1.1\r\nHost: "
        + upstream.url[7:].encode()
        + b"\r\nX-CamelCase: two  spaces\r\naccept: a\r\nACCEPT: b\r\nX-Bytes: \xe9\xff\r\nX-Empty: \r\n"
    )
    assert set(upstream.fields()) == {"host", "x-camelcase", "accept", "x-bytes", "x-empty"} | OURS


async def test_fields_of_one_hop_end_here() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask(
            "/",
            "Connection: close, X-Private, Keep-Alive",
            "Keep-Alive: timeout=5",
            "X-Private: mine",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic eDp5",
            "TE: gzip",
            "X-Public: yours",
        )
        assert set(upstream.fields()) == {"host", "x-public"} | OURS


async def test_what_a_caller_tells_us_ends_here() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask(
            "/",
            "X-Sidecar-Token: secret",
            "X-Sidecar-Retry: off",
            "X-Sidecar-Fallback: off",
            "X-Sidecar-Timeout: 5s",
            "X-Sidecar-Idempotent: true",
        )
        assert set(upstream.fields()) == {"host"} | OURS


@pytest.mark.parametrize(
    ("setting", "sent"), [("", None), ('host = "caller"', "my.localhost:81"), ('host = "b.test"', "b.test")]
)
async def test_host_is_the_upstreams_the_callers_or_a_name(setting: str, sent: str | None) -> None:
    async with scripted() as upstream, running(one(upstream.url, upstream=setting)) as sidecar:
        await sidecar.ask("/", "Host: my.localhost:81")
        assert upstream.fields()["host"] == (sent or upstream.url[7:])


async def test_via_is_appended_to_the_callers_and_names_this_process() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", "Via: 1.0 fred")
        await sidecar.ask("/")
        first, second = upstream.fields(0)["via"], upstream.fields(1)["via"]
        assert re.fullmatch(r"1\.1 sidecar-[0-9a-f]{16}", second)
        assert first == f"1.0 fred, {second}"


async def test_via_can_be_switched_off() -> None:
    async with scripted() as upstream, running(one(upstream.url, upstream="via = false")) as sidecar:
        await sidecar.ask("/")
        assert "via" not in upstream.fields()
        await sidecar.ask("/", "Via: 1.0 fred")
        assert upstream.fields()["via"] == "1.0 fred"  # by which a loop is found


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("WebSocket", "WebSocket"), ("websocket, h2c", "websocket"), ("h2c, SPDY/3.1", "spdy/3.1"), ("h2c", None)],
)
async def test_of_the_protocols_asked_for_only_one_that_is_tunnelled_is_passed_on(asked: str, sent: str | None) -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", "Connection: upgrade", f"Upgrade: {asked}")
        assert upstream.fields().get("upgrade") == sent


@pytest.mark.parametrize(
    ("sent", "request_id", "correlation_id"),
    [
        (("X-Request-ID: r-1", "X-Correlation-ID: c-1"), "r-1", "c-1"),
        (("X-Request-ID: r-1",), "r-1", "r-1"),
        (("X-Correlation-ID: c-1",), "c-1", "c-1"),
        ((f"X-Request-ID: {'x' * 128}",), "x" * 128, "x" * 128),
        (("X-Request-ID: a/b:c+d=e@f-g._h",), "a/b:c+d=e@f-g._h", "a/b:c+d=e@f-g._h"),
    ],
)
async def test_ids_that_were_sent_are_kept(sent: tuple[str, ...], request_id: str, correlation_id: str) -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask("/", *sent)
        went = upstream.fields()
    assert (went["x-request-id"], went["x-correlation-id"]) == (request_id, correlation_id)
    assert answer.fields["x-request-id"] == answer.fields["x-sidecar-request-id"] == request_id
    assert answer.fields["x-correlation-id"] == correlation_id


@pytest.mark.parametrize("insane", ["a b", "x" * 129, "a,b", 'a"b', "\xe9"])
async def test_ids_that_are_not_sane_are_replaced(insane: str) -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        answer = await sidecar.ask("/", f"X-Request-ID: {insane}", f"X-Correlation-ID: {insane}")
        went = upstream.fields()
    assert re.fullmatch(r"[0-9a-f]{28}", went["x-request-id"])
    assert went["x-correlation-id"] == went["x-request-id"] == answer.fields["x-request-id"]


async def test_new_ids_are_new() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        ids = {(await sidecar.ask("/")).fields["x-request-id"] for _ in range(3)}
        assert len(ids) == 3
        assert ids == {upstream.fields(number)["x-request-id"] for number in range(3)}


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_a_trace_is_continued() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01", "tracestate: a=b")
        went = upstream.fields()
    assert went["traceparent"].split("-")[:2] == ["00", TRACE]
    assert went["tracestate"] == "a=b"


NO_TRACE = [(), ("traceparent: 00-nonsense",), (f"traceparent: 00-{TRACE}-00f067aa0ba902b7-01",) * 2]


@pytest.mark.parametrize("sent", NO_TRACE, ids=["none", "nonsense", "two"])
async def test_a_state_without_a_trace_ends_here(sent: tuple[str, ...]) -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", *sent, "TraceState: a=b", "tracestate: c=d", "X-Mine: 1")
        went = upstream.fields()
    assert set(went) == {"host", "x-mine"} | OURS
    assert TRACE not in went["traceparent"]


async def test_what_is_signed_keeps_its_state_and_so_does_what_gets_no_ids_of_ours() -> None:
    signed = "Authorization: AWS4-HMAC-SHA256 SignedHeaders=host;tracestate"
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", signed, "tracestate: a=b")
        assert upstream.fields()["tracestate"] == "a=b"
    async with scripted() as provider, running(one(provider.url, upstream='protocol = "openai"')) as sidecar:
        await sidecar.ask("/v1/files", "tracestate: a=b", "traceparent: 00-nonsense")
        went = provider.fields()
    assert (went["tracestate"], went["traceparent"]) == ("a=b", "00-nonsense")


@pytest.mark.parametrize("sent", ["", "traceparent: nonsense", f"traceparent: 00-{'0' * 32}-00f067aa0ba902b7-01"])
async def test_a_trace_is_begun_where_there_is_none(sent: str) -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", *filter(None, (sent,)))
        assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01", upstream.fields()["traceparent"])


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/", ("Authorization: AWS4-HMAC-SHA256 Credential=x",)),
        ("/?X-Amz-Signature=abc&X-Amz-Date=d", ()),
    ],
)
async def test_a_request_signed_for_aws_gets_nothing_added(target: str, fields: tuple[str, ...]) -> None:
    adds = 'forwarded = true\nheaders = { X-Key = "k" }\ndefault_headers = { X-Tenant = "t" }'
    async with scripted() as upstream, running(one(upstream.url, upstream=adds)) as sidecar:
        answer = await sidecar.ask(target, *fields, "X-Sidecar-Token: t")
        assert answer.status == 200
        assert upstream.requests[0] == request(target, f"Host: {upstream.url[7:]}", *fields)


async def test_an_id_in_a_signed_request_is_left_as_it_is() -> None:
    signed = ("Authorization: AWS4-HMAC-SHA256 x", "X-Request-ID: not sane", "Via: 1.1 other")
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", *signed)
        assert upstream.requests[0] == request("/", f"Host: {upstream.url[7:]}", *signed)


async def test_headers_are_set_over_the_callers_and_default_headers_only_where_it_sent_none() -> None:
    settings = """
headers = { X-API-Key = "ours", X-Nothing = "" }
default_headers = { X-Tenant-ID = "demo", Accept-Language = "en", X-Unset = "" }
"""
    async with scripted() as upstream, running(one(upstream.url, upstream=settings)) as sidecar:
        await sidecar.ask("/", "x-api-key: theirs", "X-Nothing: theirs", "x-tenant-id: acme")
        went = upstream.fields()
    assert went["x-api-key"] == "ours"
    assert went["x-nothing"] == "theirs"
    assert went["x-tenant-id"] == "acme"
    assert went["accept-language"] == "en"
    assert "x-unset" not in went


async def test_forwarded_fields_say_who_asked_and_how() -> None:
    async with scripted() as upstream, running(one(upstream.url, upstream="forwarded = true")) as sidecar:
        await sidecar.ask("/", "Host: my.localhost:81", "X-Forwarded-For: 10.0.0.9", "X-Forwarded-Proto: gopher")
        went = upstream.fields()
    assert went["x-forwarded-for"] == "10.0.0.9, 127.0.0.1"
    assert went["x-forwarded-host"] == "my.localhost:81"
    assert went["x-forwarded-proto"] == "http"


async def test_without_the_setting_forwarded_fields_pass_untouched() -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", "X-Forwarded-For: 10.0.0.9")
        assert upstream.fields()["x-forwarded-for"] == "10.0.0.9"


@pytest.mark.parametrize(
    ("route", "asked", "went"),
    [
        ('strip = "/v1"', "/v1/users?x=/v1", "/users?x=/v1"),
        ('strip = "/v1"', "/v1?x=1", "/?x=1"),
        ('rewrite = "/new"', "/v1/users", "/new/users"),
        ('strip = "/v1"\nrewrite = "/v2"', "/v1/users%2F?q", "/v2/users%2F?q"),
    ],
)
async def test_strip_and_rewrite_change_the_path_and_never_the_query(route: str, asked: str, went: str) -> None:
    async with scripted() as upstream, running(one(upstream.url, route=route, path="/v1/*")) as sidecar:
        await sidecar.ask(asked)
        assert upstream.requests[0].split(b" ")[1].decode() == went


async def test_the_path_of_the_url_stands_before_the_callers() -> None:
    async with scripted() as upstream, running(one(f"{upstream.url}/base/")) as sidecar:
        await sidecar.ask("/users?q")
        assert upstream.requests[0].startswith(b"GET /base/users?q HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("method", "fields", "told"),
    [
        ("GET", (), None),
        ("POST", ("Content-Length: 0",), "0"),
        ("POST", (), "0"),
        ("DELETE", (), None),
        ("DELETE", ("Content-Length: 0",), "0"),
    ],
)
async def test_an_empty_body_is_told_where_a_body_is_usual(
    method: str, fields: tuple[str, ...], told: str | None
) -> None:
    async with scripted() as upstream, running(one(upstream.url)) as sidecar:
        await sidecar.ask("/", *fields, method=method)
        assert upstream.fields().get("content-length") == told
