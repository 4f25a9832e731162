"""What a reload does with parts, in words."""

from __future__ import annotations

from sidecar.cli.turnover import begun_anew, by_kind


def test_parts_of_a_kind_stand_in_one_line() -> None:
    named = [("breaker", "a"), ("http", "a"), ("breaker", "b"), ("inflight", "")]
    assert list(by_kind(named)) == ["circuit breaker a, b", "connections to a", "max_inflight"]


def test_what_begins_anew_says_how() -> None:
    assert list(begun_anew(iter([("breaker", "a"), ("rest", "r/a"), ("breaker", "b")]))) == [
        "circuit breaker a, b: closed, its window empty",
        "rest of r/a: the target no longer rests",
    ]


def test_a_store_of_limits_is_told_as_that() -> None:
    assert list(by_kind([("store", "redis")])) == ["shared limits in redis"]
    assert list(begun_anew([("store", "redis")])) == [
        "shared limits in redis: connected anew; what was counted is brought along"
    ]


def test_a_kind_that_a_later_sidecar_tells_of_keeps_its_name() -> None:
    assert list(by_kind([("cache", "a")])) == ["cache a"]
    assert list(begun_anew([("cache", "a")])) == ["cache a: begins anew"]
