"""One read, taken apart as strings in C are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.standins.c_gateway_wire import Context, parse


def test_a_request_is_line_headers_and_what_follows() -> None:
    asked = parse(b"POST /x HTTP/1.1\r\nA: 1\r\nB:\t 2 \r\n\r\nbody\r\n\r\nmore")
    assert (asked.method, asked.path, asked.body) == (b"POST", b"/x", b"body\r\n\r\nmore")
    assert asked.headers == ((b"A", b"1"), (b"B", b"2 "))


@pytest.mark.parametrize(
    ("raw", "method", "path", "body"),
    [
        (b"GET /x", b"GET", b"/x", b""),
        (b"  GET   /x  HTTP/1.1", b"GET", b"/x", b""),
        (b"\r\n\r\nGET /x HTTP/1.1\r\n\r\n", b"", b"", b"GET /x HTTP/1.1\r\n\r\n"),
        (b"\nGET /x HTTP/1.1\n\nno body", b"GET", b"/x", b""),
        (b"GET /x\0 HTTP/1.1\r\n\r\nbody", b"GET", b"/x", b""),
        (b"GET /x HTTP/1.1\r\n\r\nbo\0dy", b"GET", b"/x", b"bo"),
        (b"GET\t/x\tHTTP/1.1\r\n\r\nbody", b"", b"", b"body"),
        (b"\0", b"", b"", b""),
    ],
)
def test_a_strange_one(raw: bytes, method: bytes, path: bytes, body: bytes) -> None:
    asked = parse(raw)
    assert (asked.method, asked.path, asked.body) == (method, path, body)


def test_names_are_compared_byte_for_byte_and_the_last_one_counts() -> None:
    asked = parse(b"GET / HTTP/1.1\r\nX-Tenant-ID: a\r\nx-tenant-id: b\r\nX-Tenant-ID : c\r\nX-Tenant-ID:d\r\n\r\n")
    assert asked.value(b"X-Tenant-ID") == b"d"
    assert asked.value(b"X-Trace-ID") is None


def test_ids_are_cut_to_63_bytes() -> None:
    asked = parse(b"GET / HTTP/1.1\r\nX-Tenant-ID: %b\r\nX-Trace-ID: %b\r\n\r\n" % (b"t" * 64, b"r" * 63))
    assert Context.of(asked) == Context(tenant_id=b"t" * 63, trace_id=b"r" * 63)


@given(raw=st.binary() | st.lists(st.sampled_from([b"GET", b" ", b"/", b"\r\n", b"\n", b":", b"\0"])).map(b"".join))
def test_nothing_is_too_strange(raw: bytes) -> None:
    asked = parse(raw)
    assert asked.raw == raw
    assert bool(asked.method) == bool(asked.path)
