"""A described call is read as the listener reads a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.call import NO_DEADLINE, Wire
from sidecar.described import described, needs_token
from sidecar.errors import InvalidRequest
from tests.kit.policy_file import ROUTED, load

if TYPE_CHECKING:
    from sidecar.call import Call
    from sidecar.settings import Settings

HERE = load(ROUTED).settings


def call(method: str, url: str, *headers: str, settings: Settings = HERE) -> Call:
    pairs = [(name, value) for name, _, value in (header.partition(":") for header in headers)]
    return described(method, url, pairs, settings)


def why(method: str, url: str, *headers: str) -> str:
    with pytest.raises(InvalidRequest) as refused:
        call(method, url, *headers)
    return refused.value.message


def refusal(found: Call) -> tuple[int, str] | None:
    return None if found.refusal is None else (found.refusal.http_status, found.refusal.label)


@pytest.mark.parametrize(
    ("url", "host", "target", "path"),
    [
        ("/", b"127.0.0.1:7070", b"/", b"/"),
        ("/a%2Fb/%C3%A9?x=1&y", b"127.0.0.1:7070", b"/a%2Fb/%C3%A9?x=1&y", b"/a%2Fb/%C3%A9"),
        ("/é/日本", b"127.0.0.1:7070", b"/%C3%A9/%E6%97%A5%E6%9C%AC", b"/%C3%A9/%E6%97%A5%E6%9C%AC"),
        ("/a#part", b"127.0.0.1:7070", b"/a", b"/a"),
        ("http://shop.test", b"shop.test", b"/", b"/"),
        ("HTTP://localhost:8080?q", b"localhost:8080", b"/?q", b"/"),
        ("https://[::1]:1/x/", b"[::1]:1", b"/x/", b"/x/"),
        ("/http://x/y", b"127.0.0.1:7070", b"/http://x/y", b"/http://x/y"),
        ("//a//b", b"127.0.0.1:7070", b"//a//b", b"//a//b"),
    ],
)
def test_a_url_is_read_as_a_client_sends_it(url: str, host: bytes, target: bytes, path: bytes) -> None:
    found = call("GET", url)
    assert (found.wire, found.host, found.target, found.path) == (Wire.HTTP, host, target, path)
    assert found.refusal is None


def test_asterisk_form_is_for_options() -> None:
    assert call("OPTIONS", "*").path == b"*"
    assert why("GET", "*") == "the target * is for OPTIONS only"


def test_what_is_no_url_is_said_with_what_may_be_meant() -> None:
    assert why("GET", "ftp://h/x") == "'ftp://h/x' is neither a path nor an http URL"
    assert why("GET", "v1/models") == "'v1/models' is neither a path nor an http URL (did you mean '/v1/models'?)"
    assert "neither a path nor an http URL" in why("GET", "localhost:7070/x")
    assert "neither a path nor an http URL" in why("GET", "ftp://a/b")
    assert "neither a path nor an http URL" in why("GET", "")
    assert "blanks or control characters" in why("GET", "/a b")
    assert "blanks or control characters" in why("GET", "/a\r\nHost: b")
    assert "names no host" in why("GET", "http:///x")
    assert "xn--" in why("GET", "http://bücher.example/x")
    assert why("GET", "http://me:pw@localhost/") == "the Host field is not one valid host"


def test_headers_are_an_index_without_case() -> None:
    found = call("POST", "/", "Anthropic-Version: 2023-06-01", "X-A:1", "x-a: 2", "host: Shop.Local")
    assert found.fields[b"anthropic-version"] == b"2023-06-01"
    assert found.fields[b"x-a"] == b"1, 2"
    assert found.host == b"Shop.Local"
    assert call("GET", "http://127.0.0.1:7070/", "Host: shop.local").host == b"shop.local"  # as curl has it


@pytest.mark.parametrize("header", [": x", "a b: c", "bad\r\nname: x", "x: a\r\nb: c", "x: \x00", "x: 日本", "é: x"])
def test_what_is_no_header_is_refused(header: str) -> None:
    why("GET", "/", header)


def test_two_hosts_are_no_request() -> None:
    assert why("GET", "/", "Host: a", "Host: b") == "the Host field is not one valid host"


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "[]"])
def test_what_is_no_method_is_refused(method: str) -> None:
    assert "is not a method" in why(method, "/")


def test_what_the_listener_does_not_serve_is_a_refusal() -> None:
    assert refusal(call("BREW", "/")) == (501, "not_implemented")
    assert refusal(call("get", "/")) == (501, "not_implemented")
    assert refusal(call("CONNECT", "/")) is not None
    assert refusal(call("POST", "/", "Transfer-Encoding: gzip, chunked")) == (501, "not_implemented")
    assert refusal(call("GET", "/", f"X: {'x' * 40_000}")) == (431, "header_too_large")
    assert refusal(call("GET", "/", "X-Sidecar-Timeout: soon")) == (400, "invalid_request")
    assert refusal(call("GET", "/", "Via: 1.1 somebody")) is None


def test_who_may_not_call_is_refused_as_on_the_listener() -> None:
    assert refusal(call("GET", "http://api.example.com/x")) == (403, "forbidden_host")
    assert refusal(call("POST", "/", "Origin: http://evil.example")) == (403, "forbidden_origin")
    assert refusal(call("GET", "/", "Origin: http://evil.example")) is None
    told = '[listen]\nhosts = ["api.example.com"]\norigins = ["http://good.example"]\n'
    open_to = load(told + ROUTED).settings
    assert refusal(call("GET", "http://api.example.com/x", settings=open_to)) is None
    assert refusal(call("POST", "/", "Origin: http://good.example", settings=open_to)) is None
    named = load(ROUTED.replace('{ path = "/*" }', '{ host = "Shop.example.com" }')).settings
    assert refusal(call("GET", "http://shop.example.com/", settings=named)) is None


@pytest.mark.parametrize("address", ["0.0.0.0:7070", "unix:/tmp/s.sock", ""])
def test_off_loopback_any_host_may_be_named(address: str) -> None:
    settings = load(f'[listen]\nhttp = "{address}"\nhttp_token = "t"\n{ROUTED}').settings
    assert refusal(call("GET", "http://api.example.com/x", settings=settings)) is None


def test_a_token_need_not_be_told() -> None:
    guarded = load(f'[listen]\nhttp_token = "s3cret"\n{ROUTED}').settings
    assert refusal(call("GET", "/", settings=guarded)) is None
    assert needs_token(call("GET", "/", settings=guarded), guarded)
    assert not needs_token(call("GET", "/", "X-Sidecar-Token: any", settings=guarded), guarded)
    assert not needs_token(call("GET", "/"), HERE)


def test_what_a_caller_asks_of_us_is_read() -> None:
    found = call("POST", "/", "X-Sidecar-Retry: off", "X-Sidecar-Timeout: 250ms", "Idempotency-Key: 1")
    assert (found.retry, found.fallback, found.caller_deadline, found.idempotent) == (False, True, 0.25, True)
    assert call("POST", "/").caller_deadline == NO_DEADLINE


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("GRPC", "beamline.flow.v1.Router/Decide", ()),
        ("GRPC", "/beamline.flow.v1.Router/Decide", ()),
        ("GRPC", "grpc://127.0.0.1:7071/beamline.flow.v1.Router/Decide", ()),
        ("POST", "/beamline.flow.v1.Router/Decide", ("Content-Type: application/grpc+proto",)),
        ("POST", "http://127.0.0.1:7071/beamline.flow.v1.Router/Decide", ("content-type:application/grpc",)),
    ],
)
def test_a_grpc_call_is_named_by_its_method(method: str, url: str, headers: tuple[str, ...]) -> None:
    found = call(method, url, *headers, "X-Tenant-ID: acme")
    assert (found.wire, found.path, found.method) == (Wire.GRPC, b"/beamline.flow.v1.Router/Decide", b"POST")
    assert found.fields[b"x-tenant-id"] == b"acme"
    assert found.host == b"127.0.0.1:7071"


def test_what_is_no_grpc_method_is_said() -> None:
    assert why("GRPC", "Decide") == "'Decide' is no gRPC method: package.Service/Method"
    assert "is no gRPC method" in why("GRPC", "/a/b/c")
    assert "is no gRPC method" in why("GRPC", "a.B/C?x")
    assert call("POST", "/a/b", "Content-Type: application/grpc-web").wire is Wire.HTTP


@given(
    st.sampled_from(["GET", "POST", "OPTIONS", "GRPC", "PATCH"]) | st.text(max_size=8),
    st.text(max_size=40) | st.text("/*%?#:.ahtpHé\udcff", max_size=40).map(lambda text: f"/{text}"),
    st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=3),
)
@example("GET", "/\udcff", [])
@example("POST", "/", [("Content-Length", "x")])
@example("POST", "/", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
@example("GET", "/", [("Connection", "upgrade"), ("Upgrade", "websocket")])
@example("PRI", "*", [])
def test_anything_is_a_call_or_no_request(method: str, url: str, headers: list[tuple[str, str]]) -> None:
    try:
        found = described(method, url, headers, HERE)
    except InvalidRequest:
        return
    assert found.path == found.target.partition(b"?")[0]
    assert found.path[:1] in (b"/", b"*")
