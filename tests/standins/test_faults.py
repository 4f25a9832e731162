"""Faults are written by people: what they may write, and what they are told when they may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.standins.faults import Fault, Kind


def test_a_kind_alone_takes_the_usual_figures() -> None:
    assert Fault.parse("fail") == Fault(Kind.FAIL, status=500, share=1.0)


def test_figures_follow_a_colon() -> None:
    assert Fault.parse("fail:status=503,share=0.5") == Fault(Kind.FAIL, status=503, share=0.5)


def test_json_says_the_same() -> None:
    assert Fault.of({"kind": "cut", "events": 3, "every": 0}) == Fault(Kind.CUT, events=3, every=0.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("explode", "kind: 'explode' will not do (allowed: none, fail, slow, "),
        ("fail:statsu=500", "no figure 'statsu' (allowed: kind, share, status, "),
        ("fail:status=lots", "status: 'lots' will not do (allowed: a number such as 500)"),
        ("fail:status=99", "status: 99 is not between 200 and 599"),
        ("fail:share=2", "share: 2.0 is not between 0 and 1"),
        ("slow:delay=-1", "delay: -1.0 is less than nothing"),
        ("slow:delay=nan", "delay: nan is less than nothing"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(ValueError) as error:
        Fault.parse(text)
    assert told in str(error.value)


def test_a_half_share_meets_every_second_request() -> None:
    fault = Fault(Kind.FAIL, share=0.5)
    assert [fault.meets(count) for count in range(4)] == [False, True, False, True]


@given(hundredths=st.integers(0, 100))
def test_a_share_is_kept_exactly_over_a_hundred_requests(hundredths: int) -> None:
    fault = Fault(Kind.FAIL, share=hundredths / 100)
    assert sum(fault.meets(count) for count in range(100)) == hundredths
