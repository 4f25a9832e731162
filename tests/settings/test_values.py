"""Numbers, flags, durations, sizes, lists; strict but for a reference."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sidecar.settings import Reference, SettingError, parse_duration, parse_size
from sidecar.settings.values import Access, Bytes, Flag, Int, Items, Number, Seconds


def read(kind: Any, value: object) -> Any:
    return TypeAdapter(kind).validate_python(value, strict=True)


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("1.5s", 1.5), ("2m", 120), ("1h", 3600), ("0s", 0), (" 5s ", 5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert read(Seconds, text) == seconds


@pytest.mark.parametrize("text", ["", "5", "-1s", "1 s", "1S", "1d", "1m30s", "s", ".5s", "1e3s", "\u0665s", "1s\n1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(SettingError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("64KiB", 65536), ("1MiB", 1048576), ("1.5KiB", 1536), ("2GiB", 2**31), ("5KB", 5000), ("7B", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert read(Bytes, text) == size


@pytest.mark.parametrize("text", ["", "5", "1kib", "1 MiB", "-1KiB", "MiB", "1M"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(SettingError, match="is not a size"):
        parse_size(text)


@given(st.integers(0, 10**6))
def test_a_number_is_seconds_or_bytes(number: int) -> None:
    assert read(Seconds, number) == number
    assert read(Bytes, number) == number
    assert read(Seconds, f"{number}s") == number
    assert read(Seconds, f"{number}ms") == pytest.approx(number / 1000)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Int, "50", 50),
        (Int, " -5 ", -5),
        (Number, "0.5", 0.5),
        (Number, "2", 2.0),
        (Flag, "true", True),
        (Flag, "OFF", False),
        (Flag, "1", True),
        (Seconds, "250ms", 0.25),
        (Seconds, "5", 5.0),
        (Bytes, "64KiB", 65536),
        (Bytes, "100", 100),
        (Items[str], "a, b,", ("a", "b")),
        (Items[Int], "1,2", (1, 2)),
        (Access, "errors", "errors"),
        (Access, "false", False),
    ],
)
def test_a_reference_takes_the_type_of_its_key(kind: Any, text: str, value: object) -> None:
    assert read(kind, Reference(text)) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Int, "50"),
        (Int, 5.0),
        (Int, True),
        (Number, "0.5"),
        (Number, float("nan")),
        (Flag, "true"),
        (Flag, 1),
        (Seconds, True),
        (Seconds, -1),
        (Seconds, float("inf")),
        (Seconds, None),
        (Bytes, 1.5),
        (Bytes, True),
        (Bytes, -1),
        (Items[str], "a"),
        (Int, Reference("five")),
        (Int, Reference("9" * 5000)),
        (Number, Reference("1e9")),
        (Flag, Reference("maybe")),
        (Bytes, Reference("1.5")),
    ],
)
def test_nothing_else_is_taken_for_what_it_is_not(kind: Any, value: object) -> None:
    with pytest.raises(ValidationError):
        read(kind, value)
