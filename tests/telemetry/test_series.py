"""Families of series, and the text they become."""

from __future__ import annotations

import pytest

from sidecar.telemetry.series import BOUNDS, Family, Histogram, Number, SeriesLimit


def counter(limit: int = 100) -> Family[Number]:
    return Family(Number, SeriesLimit(limit), "calls_total", "Calls.", ("route", "to"))


def text(family: Family[Number] | Family[Histogram], *, openmetrics: bool = False) -> list[str]:
    return "".join(family.lines(openmetrics=openmetrics)).splitlines()


def test_a_counter_becomes_text() -> None:
    family = counter()
    family.child("things", "store").value += 2
    assert text(family) == [
        "# HELP calls_total Calls.",
        "# TYPE calls_total counter",
        'calls_total{route="things",to="store"} 2',
    ]


def test_openmetrics_names_a_counter_without_its_ending() -> None:
    assert text(counter(), openmetrics=True) == ["# HELP calls Calls.", "# TYPE calls counter"]


def test_buckets_are_cumulative_and_hold_their_own_bound() -> None:
    family = Family(Histogram, SeriesLimit(9), "took_seconds", "Time.", ("route",), kind="histogram")
    for seconds in (0.001, 0.0011, 3.0, 9999.0):
        family.child("things").observe(seconds)
    told = dict(line.rsplit(" ", 1) for line in text(family)[2:])
    buckets = [float(value) for name, value in told.items() if "_bucket" in name]
    assert len(buckets) == len(BOUNDS) + 1 == 16
    assert buckets == sorted(buckets)
    for bound, count in (("0.001", 1), ("0.005", 2), ("2.5", 2), ("5.0", 3), ("600.0", 3), ("+Inf", 4)):
        assert told[f'took_seconds_bucket{{route="things",le="{bound}"}}'] == str(count)
    assert told['took_seconds_count{route="things"}'] == "4"
    assert float(told['took_seconds_sum{route="things"}']) == pytest.approx(10002.0021)


def test_values_are_escaped() -> None:
    family = counter()
    family.child('a"b\\c', "d\ne")
    assert text(family)[2] == r'calls_total{route="a\"b\\c",to="d\ne"} 0'


def test_a_child_is_made_once() -> None:
    family = counter()
    assert family.child("things", "store") is family.child("things", "store")


def test_beyond_the_limit_there_is_one_series_for_all_others() -> None:
    family = counter(limit=2)
    family.child("a", "x")
    family.child("b", "x")
    assert family.child("c", "x") is family.child("d", "x")
    assert family.child("a", "x") is not family.child("c", "x")
    assert list(family.children) == [("a", "x"), ("b", "x"), ("other", "other")]


def test_dropping_makes_room_and_leaves_the_others_series_alone() -> None:
    family = counter(limit=2)
    for route in ("a", "b", "c"):
        family.child(route, "x")
    family.drop(["a", "other"], ["other"])
    assert list(family.children) == [("b", "x"), ("other", "other")]
    family.child("d", "x")
    assert ("d", "x") in family.children


def test_an_upstream_is_dropped_with_its_models_and_not_by_a_prefix() -> None:
    family = counter()
    for to in ("store", "store/large", "storehouse"):
        family.child("things", to)
    family.drop([], ["store"])
    assert list(family.children) == [("things", "storehouse")]
