"""Values as one writes them: what is written is read as the same value."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.settings import parse_duration, parse_size
from sidecar.settings.written import by_protocol, duration, size, toml


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.1, "100ms"),
        (0.0005, "0.5ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (60, "60s"),
        (90, "90s"),
        (120, "2m"),
        (300.0, "5m"),
        (3600, "60m"),
        (7200, "2h"),
        (7201, "7201s"),
    ],
)
def test_a_duration_is_written_in_the_unit_that_reads_best(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.integers(0, 10**12))
def test_a_duration_is_read_as_what_was_written(milliseconds: int) -> None:
    assert parse_duration(duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=1e-6)


@pytest.mark.parametrize(
    ("count", "text"), [(0, 0), (500, 500), (1024, "1KiB"), (1536, 1536), (64 * 1024**2, "64MiB"), (1024**3, "1GiB")]
)
def test_a_size_is_written_in_the_largest_unit_that_divides_it(count: int, text: str | int) -> None:
    assert size(count) == text


@given(st.integers(0, 2**60))
def test_a_size_is_read_as_what_was_written(count: int) -> None:
    text = size(count)
    assert (text if isinstance(text, int) else parse_size(text)) == count


@pytest.mark.parametrize(
    "value", [1, 2.0, 0.5, True, False, "", 'a "b" \u00fc', [], [1, "a"], {"max": 1, "wait": "5s"}, {"a": [{"b": 1.5}]}]
)
def test_any_value_is_toml(value: object) -> None:
    assert tomllib.loads(f"key = {toml(value)}") == {"key": value}


def test_protocols_that_share_a_value_are_named_together() -> None:
    assert by_protocol({"a": "60s", "b": 0, "c": "60s"}) == 'a, c: `"60s"`; b: `0`'
    assert by_protocol({}) == ""
