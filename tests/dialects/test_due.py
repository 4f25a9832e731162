"""Fields that must be there."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dialects.due import due_number, due_object, due_text
from sidecar.dialects.translated import BadEvent


def test_what_is_there_is_given() -> None:
    assert due_object({"x": {}}, "x") == {}
    assert due_text({"x": ""}, "x") == ""
    assert due_number({"x": 0}, "x") == 0


@pytest.mark.parametrize("value", [None, 1.5, True, [], "1"])
def test_what_is_something_else_is_told_by_its_name(value: Any) -> None:
    with pytest.raises(BadEvent, match="x: an object is due"):
        due_object({"x": value}, "x")
    with pytest.raises(BadEvent, match="x: a text is due"):
        due_text({"x": {} if isinstance(value, str) else value}, "x")
    with pytest.raises(BadEvent, match="x: a whole number is due"):
        due_number({"x": value}, "x")


def test_what_is_absent_is_told_so_too() -> None:
    with pytest.raises(BadEvent, match="index"):
        due_number({}, "index")
