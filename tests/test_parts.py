"""What outlives a configuration: equal settings find the part that was made before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.parts import Parts, turnover


def test_equal_settings_give_the_same_part_within_one_configuration() -> None:
    parts = Parts()
    first = parts.get("breaker", "a", (1, 2), object)
    assert parts.get("breaker", "a", (1, 2), object) is first


def test_kind_name_and_settings_tell_parts_apart() -> None:
    parts = Parts()
    keys = [("breaker", "a", 1), ("rest", "a", 1), ("breaker", "b", 1), ("breaker", "a", 2)]
    assert len({id(parts.get(*key, object)) for key in keys}) == 4
    assert parts.keys() == set(keys)


def test_a_part_outlives_its_configuration_only_if_its_settings_did_not_change() -> None:
    before = Parts()
    kept, lost = before.get("breaker", "a", 1, object), before.get("breaker", "b", 1, object)
    after = Parts(before)
    assert after.get("breaker", "a", 1, object) is kept
    assert after.get("breaker", "b", 2, object) is not lost


def test_a_part_may_be_nothing() -> None:
    before = Parts()
    assert before.get("health", "a", 1, lambda: None) is None
    after = Parts(before)
    assert after.get("health", "a", 1, lambda: 7) is None


def test_two_reloads_do_not_bring_a_dropped_part_back() -> None:
    first = Parts()
    part = first.get("breaker", "a", 1, object)
    third = Parts(Parts(first))
    assert third.get("breaker", "a", 1, object) is not part


def test_a_part_can_be_found_whatever_its_settings_were() -> None:
    before = Parts()
    limit = before.get("limit", "r", 50, object)
    after = Parts(before)
    assert after.named_before("limit", "r") is limit
    assert after.named_before("limit", "other") is None
    assert Parts().named_before("limit", "r") is None
    after.forget_before()
    assert after.named_before("limit", "r") is None


def test_finding_parts_by_name_costs_the_same_however_many_there_are() -> None:
    """Each limit that changes asks. One that looked at all of them made a reload of 4,000 routes last seconds."""
    before, looked_at = Parts(), 0

    class Name(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal looked_at
            looked_at += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    for number in range(500):
        before.get("limit", Name(number), 50, object)
    after = Parts(before)
    looked_at = 0
    assert all(after.named_before("limit", Name(number)) is not None for number in range(500))
    assert looked_at < 5_000


def test_all_parts_of_a_kind() -> None:
    parts = Parts()
    made = {name: parts.get("breaker", name, 1, object) for name in "ab"}
    parts.get("rest", "a", 1, object)
    assert dict(parts.of("breaker")) == made


def test_what_is_made_and_what_is_dropped() -> None:
    before = Parts()
    kept, dropped = before.get("breaker", "a", 1, object), before.get("breaker", "b", 1, object)
    after = Parts(before)
    after.get("breaker", "a", 1, object)
    new = after.get("breaker", "c", 1, object)
    assert after.made() == [new]
    assert after.dropped() == [dropped]
    assert kept not in [*after.made(), *after.dropped()]
    assert before.made() == [kept, dropped]


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_every_part_is_kept_made_or_dropped(old: set[int], new: set[int]) -> None:
    before = Parts()
    was = {number: before.get("part", str(number), number, object) for number in old}
    after = Parts(before)
    now = {number: after.get("part", str(number), number, object) for number in new}
    assert {number for number in old & new if was[number] is now[number]} == old & new
    assert set(map(id, after.made())) == {id(now[number]) for number in new - old}
    assert set(map(id, after.dropped())) == {id(was[number]) for number in old - new}


def test_each_part_is_made_reset_kept_or_dropped() -> None:
    before = Parts()
    for name, settings in (("kept", 1), ("changed", 1), ("gone", 1), ("two", 1), ("two", 2)):
        before.get("breaker", name, settings, object)
    after = Parts(before)
    for name, settings in (("kept", 1), ("changed", 2), ("new", 1), ("two", 1)):
        after.get("breaker", name, settings, object)
    found = turnover(before, after)
    assert found.made == (("breaker", "new"),)
    assert found.reset == (("breaker", "changed"), ("breaker", "two"))
    assert found.kept == (("breaker", "kept"),)
    assert found.dropped == (("breaker", "gone"),)
