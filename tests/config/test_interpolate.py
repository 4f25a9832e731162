"""`${NAME}`, `${NAME:-default}`, `$${`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.interpolate import interpolate
from sidecar.settings import Reference

ENVIRON = {"NAME": "value", "EMPTY": "", "PORT": "80"}


def put_in(value: Any) -> Any:
    result = interpolate({"k": value}, ENVIRON)
    assert result.problems == []
    return result.document["k"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NAME}", "value"),
        ("a${NAME}b${PORT}", "avalueb80"),
        ("${MISSING:-x y}", "x y"),
        ("${MISSING:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-as in a shell}", "as in a shell"),
        ("${NAME:-unused}", "value"),
        ("$${NAME}", "${NAME}"),
        ("$${NAME} ${NAME}", "${NAME} value"),
        ("$NAME $$ $", "$NAME $$ $"),
        ("${MISSING:-a:-b}", "a:-b"),
        ("${MISSING:-$PORT}", "$PORT"),
    ],
)
def test_references_are_put_in(text: str, expected: str) -> None:
    assert put_in(text) == expected


@pytest.mark.parametrize("text", ["${NAME}", "${MISSING:-5}", "${EMPTY}"])
def test_a_whole_reference_takes_the_type_of_its_key(text: str) -> None:
    assert type(put_in(text)) is Reference


@pytest.mark.parametrize("text", ["x${NAME}", "${NAME} ", "$${NAME}", "${NAME}${NAME}", "text"])
def test_anything_longer_is_text(text: str) -> None:
    assert type(put_in(text)) is str


def test_strings_are_found_anywhere() -> None:
    assert put_in([{"a": ["${PORT}", 1]}, {"b": {"c": "${NAME}"}}]) == [{"a": ["80", 1]}, {"b": {"c": "value"}}]


def test_what_a_variable_holds_is_not_read_again() -> None:
    result = interpolate({"k": "${A}"}, {"A": "${B}", "B": "x"})
    assert result.document == {"k": "${B}"}


def test_the_places_of_variables_are_remembered() -> None:
    document = {"a": "${NAME}", "b": ["x", "y${MISSING:-z}"], "c": "$${NAME}", "d": "text"}
    assert interpolate(document, ENVIRON).hidden == {("a",), ("b", 1)}


def test_a_missing_variable_names_the_key_and_itself() -> None:
    result = interpolate({"a": {"b": ["${NAMES}"]}}, ENVIRON)
    (problem,) = result.problems
    assert problem.place == ("a", "b", 0)
    assert problem.problem == "the variable NAMES is not set"
    assert problem.nearest == "NAME"


def test_all_missing_variables_are_told_at_once() -> None:
    assert len(interpolate({"a": "${X} ${Y:-} ${Z}"}, {}).problems) == 2


@pytest.mark.parametrize("text", ["${}", "${1X}", "${NAME", "a ${NAME-default}", "${NAME:?no}", "${A B}"])
def test_what_only_looks_like_a_reference_is_a_mistake(text: str) -> None:
    (problem,) = interpolate({"k": text}, ENVIRON).problems
    assert "is not a reference" in problem.problem
    assert "$${" in problem.allowed


@given(st.text())
def test_any_text_survives_when_its_references_are_escaped(text: str) -> None:
    assert put_in(text.replace("${", "$${")) == text or "$${" in text


@given(st.text(alphabet="${}NAME:-1 "))
def test_no_text_breaks_it(text: str) -> None:
    interpolate({"k": text}, ENVIRON)
