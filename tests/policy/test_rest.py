from __future__ import annotations

import pytest

from sidecar.policy.rest import MOST_CREDENTIALS, Rest, Rests


def test_a_target_rests_until_the_moment_told() -> None:
    rest = Rest()
    assert rest.left(100.0) == 0.0
    rest.rest(130.0, "throttled")
    assert rest.left(100.0) == 30.0
    assert rest.left(130.0) == 0.0
    assert rest.left(999.0) == 0.0


def test_the_longer_rest_wins_with_its_cause() -> None:
    rest = Rest()
    rest.rest(130.0, "throttled")
    rest.rest(110.0, "out_of_money")
    assert (rest.left(100.0), rest.cause) == (30.0, "throttled")
    rest.rest(900.0, "out_of_money")
    assert (rest.left(100.0), rest.cause) == (800.0, "out_of_money")


def test_a_rest_that_is_over_gives_way_to_any_new_one() -> None:
    rest = Rest()
    rest.rest(130.0, "throttled")
    rest.rest(201.0, "health")
    assert (rest.left(200.0), rest.cause) == (1.0, "health")


def test_a_rest_can_be_ended_by_its_own_cause_only() -> None:
    rest = Rest()
    rest.rest(130.0, "health")
    rest.clear("throttled")
    assert rest.left(100.0) == 30.0
    rest.clear("health")
    assert rest.left(100.0) == 0.0


# Of single credentials.


def test_a_credential_rests_alone() -> None:
    rests = Rests()
    rests.rest_credential("a", 130.0, "throttled", 100.0)
    assert rests.left_for("a", 100.0) == (30.0, "throttled")
    assert rests.left_for("b", 100.0) == (0.0, "")
    assert rests.left_for("", 100.0) == (0.0, "")
    assert (rests.left(100.0), rests.left_for("a", 130.0)) == (0.0, (0.0, ""))


@pytest.mark.parametrize(("own", "left"), [(110.0, (30.0, "out_of_money")), (190.0, (90.0, "throttled"))])
def test_of_everybody_s_rest_and_its_own_the_longer_counts(own: float, left: tuple[float, str]) -> None:
    rests = Rests()
    rests.rest(130.0, "out_of_money")
    rests.rest_credential("a", own, "throttled", 100.0)
    assert rests.left_for("a", 100.0) == left
    assert rests.left_for("b", 100.0) == rests.left_for("", 100.0) == (30.0, "out_of_money")


def test_of_two_rests_of_a_credential_the_longer_wins() -> None:
    rests = Rests()
    rests.rest_credential("a", 190.0, "out_of_money", 100.0)
    rests.rest_credential("a", 110.0, "throttled", 100.0)
    assert rests.left_for("a", 100.0) == (90.0, "out_of_money")


def test_no_credential_means_everybody() -> None:
    rests = Rests()
    rests.rest_credential("", 130.0, "throttled", 100.0)
    assert rests.left_for("a", 100.0) == (30.0, "throttled")
    assert rests.left(100.0) == 30.0


def test_ending_everybody_s_rest_leaves_that_of_a_credential() -> None:
    rests = Rests()
    rests.rest(200.0, "unhealthy")
    rests.rest_credential("a", 130.0, "throttled", 100.0)
    rests.clear("unhealthy")
    assert (rests.left(100.0), rests.left_for("a", 100.0)) == (0.0, (30.0, "throttled"))


def test_when_too_many_rest_those_are_forgotten_whose_rest_is_over() -> None:
    rests = Rests()
    for number in range(MOST_CREDENTIALS):
        rests.rest_credential(f"old {number}", 110.0 if number < 990 else 500.0, "throttled", 100.0)
    rests.rest_credential("new", 130.0, "throttled", 120.0)
    assert [rests.left_for(digest, 120.0)[0] for digest in ("old 0", "old 990", "new")] == [0.0, 380.0, 10.0]
    rests.rest_credential("newer", 130.0, "throttled", 120.0)
    assert rests.left_for("new", 120.0)[0] == 10.0, "there is room again"


def test_when_all_of_too_many_rest_the_one_that_ends_soonest_is_forgotten() -> None:
    rests = Rests()
    for number in range(MOST_CREDENTIALS):
        rests.rest_credential(f"{number}", 200.0 + number, "throttled", 100.0)
    rests.rest_credential("new", 500.0, "throttled", 100.0)
    assert [rests.left_for(digest, 100.0)[0] for digest in ("0", "1", "new")] == [0.0, 101.0, 400.0]
    rests.rest_credential("short", 101.0, "throttled", 100.0)
    assert rests.left_for("short", 100.0)[0] == 0.0, "which may be the new one"
