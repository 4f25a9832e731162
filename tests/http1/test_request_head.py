"""Heads that may be served. The refused ones are in `test_server_refusals.py`, byte for byte."""

from __future__ import annotations

import pytest

from sidecar.errors import InvalidRequest, NotImplementedHere, VersionNotSupported
from sidecar.http1.request_head import HTTP_10, HTTP_11, judge, refusal


@pytest.mark.parametrize(
    ("method", "target", "plain", "host"),
    [
        (b"GET", b"/a?b=c", b"/a?b=c", b"here"),
        (b"GET", b"//a", b"//a", b"here"),
        (b"GET", b"http://there/a?b", b"/a?b", b"there"),
        (b"GET", b"HTTPS://there:8443/a", b"/a", b"there:8443"),
        (b"GET", b"http://there", b"/", b"there"),
        (b"GET", b"http://there?b", b"/?b", b"there"),
        (b"OPTIONS", b"http://there", b"*", b"there"),
        (b"OPTIONS", b"*", b"*", b"here"),
    ],
)
def test_the_target_is_made_plain_and_its_authority_wins(
    method: bytes, target: bytes, plain: bytes, host: bytes
) -> None:
    judged = judge(method, target, "1.1", {b"host": b"here"})
    assert judged[:3] == (plain, host, HTTP_11)


@pytest.mark.parametrize("host", [b"", b"a", b"a.b:80", b"127.0.0.1:7070", b"[::1]:7070", b"[fe80::1%25en0]", b"a_b"])
def test_hosts(host: bytes) -> None:
    assert judge(b"GET", b"/", "1.1", {b"host": host})[1] == host


@pytest.mark.parametrize(
    "host", [b"a, a", b"a b", b"a/", b"u@a", b"a:x", b"[::1", b"::1", b"a:123456", b"a\xff", b"a" * 513]
)
def test_what_is_no_host(host: bytes) -> None:
    with pytest.raises(InvalidRequest):
        judge(b"GET", b"/", "1.1", {b"host": host})


@pytest.mark.parametrize("authority", [b"u@a", b"a:x", b"[::1", b"a b", b"a" * 513, b""])
def test_what_is_no_authority(authority: bytes) -> None:
    with pytest.raises(InvalidRequest):
        judge(b"GET", b"http://%b/" % authority, "1.1", {b"host": b"a"})


def test_http_10_needs_no_host_and_knows_neither_upgrade_nor_expect() -> None:
    fields = {b"connection": b"upgrade", b"upgrade": b"tcp", b"expect": b"100-continue", b"content-length": b"5"}
    assert judge(b"GET", b"/", "1.0", fields) == (b"/", b"", HTTP_10, 5, b"", False)


@pytest.mark.parametrize(
    ("fields", "length", "upgrade", "expects"),
    [
        ({}, 0, b"", False),
        ({b"content-length": b"5"}, 5, b"", False),
        ({b"transfer-encoding": b"Chunked"}, None, b"", False),
        ({b"expect": b"100-continue"}, 0, b"", False),
        ({b"expect": b"100-Continue", b"content-length": b"5"}, 5, b"", True),
        ({b"expect": b"100-continue", b"transfer-encoding": b"chunked"}, None, b"", True),
        ({b"upgrade": b"websocket"}, 0, b"", False),
        ({b"upgrade": b"WebSocket", b"connection": b"keep-alive, Upgrade"}, 0, b"websocket", False),
        ({b"upgrade": b"h2c, tcp", b"connection": b"upgrade"}, 0, b"tcp", False),
        ({b"upgrade": b"HTTP/2.0", b"connection": b"upgrade"}, 0, b"", False),
    ],
)
def test_framing_and_wishes(fields: dict[bytes, bytes], length: int | None, upgrade: bytes, expects: bool) -> None:
    assert judge(b"POST", b"/", "1.1", {b"host": b"a", **fields})[3:] == (length, upgrade, expects)


@pytest.mark.parametrize(
    ("problem", "data", "kind"),
    [
        ("Pause on PRI/Upgrade", b"PRI * HTTP/2.0", VersionNotSupported),
        ("Invalid HTTP version", b"GET / HTTP/3", VersionNotSupported),
        ("Invalid method encountered", b"FETCH / HTTP/1.1", NotImplementedHere),
        ("Invalid method encountered", b"\x16\x03\x01", InvalidRequest),
        ("Invalid header token", b"GET / HTTP/1.1", InvalidRequest),
    ],
)
def test_what_cannot_be_parsed_has_an_answer(problem: str, data: bytes, kind: type) -> None:
    assert type(refusal(problem, data)) is kind
