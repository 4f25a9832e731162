"""Routes in a few words."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.cli.routes import chain_words, match_words


@pytest.mark.parametrize(
    ("match", "words"),
    [
        ({}, "/*"),
        ({"path": "/a/*"}, "/a/*"),
        ({"host": "h.test"}, "h.test/*"),
        ({"host": "h.test", "path": "/a", "methods": ["GET", "HEAD"]}, "GET|HEAD h.test/a"),
        ({"path": "/a", "headers": {"x": "1", "y": "*"}}, "/a [x: 1 y: *]"),
        ({"grpc": "a.B/*"}, "a.B/*"),
        ({"grpc": None, "host": None, "path": "/a", "methods": [], "headers": {}}, "/a"),
    ],
)
def test_which_calls_it_takes(match: dict[str, Any], words: str) -> None:
    assert match_words(match) == words


def test_where_they_go() -> None:
    assert chain_words(["a", "b", "static/c"], None) == "a → b → static/c"
    assert chain_words([], None) == ""
    assert chain_words(["a", "b"], [3, 1]) == "a 75 %, b 25 %"
    assert chain_words(["a", "b", "c"], [1, 1, 1]) == "a 33.3 %, b 33.3 %, c 33.3 %"
