"""Heads in the spelling that c-gateway knows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.upstreams.gateway_head import GatewayHeadWriter, exact
from sidecar.upstreams.request_head import Additions
from tests.kit.stage import a_call

NAMES = [b"X-Tenant-ID", b"X-Trace-ID", b"Authorization", b"X-API-Key", b"X-Request-ID", b"X-Correlation-ID",
         b"Content-Type", b"Content-Length", b"Host", b"Accept", b"User-Agent", b"traceparent"]  # fmt: skip
TOKEN = st.text("abcXYZ-_019", min_size=1).map(str.encode)
VALUE = st.text("ab: ,;=\t", max_size=9).map(lambda text: text.strip().encode())


@given(st.sampled_from(NAMES), st.lists(st.booleans(), min_size=20, max_size=20), VALUE)
def test_however_a_known_name_was_written(name: bytes, upper: list[bool], value: bytes) -> None:
    letters = zip(name.decode(), upper, strict=False)
    written = "".join(one.upper() if up else one.lower() for one, up in letters).encode()
    head = b"GET / HTTP/1.1\r\n%b: %b\r\n\r\n" % (written, value)
    assert exact(head) == b"GET / HTTP/1.1\r\n%b: %b\r\n\r\n" % (name, value)


@given(st.lists(st.tuples(TOKEN.map(lambda token: b"x-" + token), VALUE)))
def test_other_fields_stay_as_they_are(fields: list[tuple[bytes, bytes]]) -> None:
    head = b"GET /connection: HTTP/1.1\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % pair for pair in fields)
    assert exact(head) == head


def test_what_is_for_one_hop_is_not_sent() -> None:
    hop = b"Connection: Upgrade\r\nUpgrade: x\r\nTE: trailers\r\nExpect: 100-continue\r\n"
    assert exact(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % hop) == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_the_files_own_fields_are_spelled_too() -> None:
    fixed, default = ((b"x-api-key", b"k"),), ((b"X-TENANT-ID", b"demo"),)
    writer = GatewayHeadWriter(Additions("upstream", b"gw:8080", fixed, default), b"")
    lines = writer.write(a_call(), length=0, chunked=False).split(b"\r\n")
    assert lines[:4] == [b"GET / HTTP/1.1", b"Host: gw:8080", b"X-API-Key: k", b"X-Tenant-ID: demo"]
    assert writer.check(b"/_health") == b"GET /_health HTTP/1.1\r\nHost: gw:8080\r\nX-API-Key: k\r\n\r\n"
