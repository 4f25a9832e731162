"""Places: as text, as lines, and what is taken out at them."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.config.places import Place, Problem, dotted, line_of, nearest, remove, select, unknown, within


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("routes", "c-gateway_2", "chain", 0), "routes.c-gateway_2.chain[0]"),
        (("models", "gpt-4.1"), 'models."gpt-4.1"'),
        (("", 'a"b\n', 1, 2), '""."a\\"b\\n"[1][2]'),
        (("é",), '"é"'),
        ((), ""),
    ],
)
def test_a_place_is_written_as_in_toml(place: Place, text: str) -> None:
    assert dotted(place) == text


def test_what_is_missing_stands_where_its_table_begins() -> None:
    lines: dict[Place, int] = {("a",): 3, ("a", "b"): 5}
    assert line_of(("a", "b", "c", 0), lines) == 5
    assert line_of(("a", "x"), lines) == 3
    assert line_of(("x",), lines) == 1
    assert line_of((), lines) == 1


def test_a_name_that_is_not_there_is_told_with_the_one_that_was_meant_or_with_all() -> None:
    known = {"sorry", "sad"}
    assert unknown(("a",), "answer", "sory", known, "static/") == Problem(
        ("a",), "there is no answer sory", "", "static/sorry"
    )
    assert unknown(("a",), "answer", "x", known, "static/").allowed == "static/sad, static/sorry"


def test_within() -> None:
    assert within(("a", 0), ("a",))
    assert within(("a",), ("a",))
    assert not within(("a",), ("a", 0))
    assert not within(("ab",), ("a",))


def test_the_nearest_name_ignores_case() -> None:
    assert nearest("polcy", ("url", "policy")) == "policy"
    assert nearest("get", ("GET", "PUT")) == "GET"
    assert nearest("zzz", ("url", "policy")) == ""


def test_a_pattern_selects_places() -> None:
    document = {"a": {"x": {"k": 1}, "y": {"k": 2}, "z": 3}, "b": [{"k": 4}]}
    assert list(select(document, "a.*.k")) == [(("a", "x", "k"), 1), (("a", "y", "k"), 2)]
    assert list(select(document, "b.*.k")) == []


@pytest.mark.parametrize(
    ("place", "taken", "left"),
    [
        (("a", "b"), ("a", "b"), {"a": {"l": [1, [{"x": 1}]]}}),
        (("a", "missing"), ("a",), {}),
        (("a", "b", "deeper"), ("a", "b"), {"a": {"l": [1, [{"x": 1}]]}}),
        (("a", "l", 0), ("a", "l"), {"a": {"b": 2}}),
        (("a", "l", 1, 0, "x"), ("a", "l", 1, 0, "x"), {"a": {"b": 2, "l": [1, [{}]]}}),
        (("a", "l", 1, 0, "y"), ("a", "l"), {"a": {"b": 2}}),
        (("missing",), (), {"a": {"b": 2, "l": [1, [{"x": 1}]]}}),
    ],
)
def test_what_is_wrong_is_taken_out(place: Place, taken: Place, left: Any) -> None:
    document = {"a": {"b": 2, "l": [1, [{"x": 1}]]}}
    assert remove(document, place) == taken
    assert document == left
