"""JSON is read strictly."""

from __future__ import annotations

import pytest

from sidecar.standins.c_gateway_json import compact, loads, spaced


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'"text"',
        b"1",
        b"null",
        b"{} {}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
    ],
)
def test_what_is_none(text: bytes) -> None:
    assert loads(text) is None


def test_what_is_some() -> None:
    assert loads(b' {"a": [1, 2.5, "\xc3\xa9"], "a": "last"} ') == {"a": "last"}
    assert loads(b"[]") == []


def test_two_ways_to_write() -> None:
    assert compact({"a": ["é", 1]}) == '{"a":["é",1]}'.encode()
    assert spaced({"a": ["é", 1]}) == '{"a": ["é", 1]}'.encode()
