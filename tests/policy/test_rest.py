from __future__ import annotations

from sidecar.policy.rest import Rest


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
