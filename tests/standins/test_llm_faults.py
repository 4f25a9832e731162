"""What a person may write as a fault of a provider, and what is told of a mistake."""

from __future__ import annotations

import pytest

from sidecar.standins.llm_faults import Fault, Kind


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("status:status=429,retry_after=3", Fault(Kind.STATUS, status=429, retry_after="3")),
        ("status:code=insufficient_quota,status=429", Fault(Kind.STATUS, status=429, code="insufficient_quota")),
        ("cut:tokens=0,times=2,model=gpt-4o", Fault(Kind.CUT, tokens=0, times=2, model="gpt-4o")),
        ("first-token:delay=20", Fault(Kind.FIRST_TOKEN, delay=20.0)),
    ],
)
def test_it_is_written_as_a_kind_and_its_figures(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("status:status=200", "status: 200 is not between 400 and 599"),
        ("dribble:size=0", "size: a piece has at least 1 byte"),
        ("stall:delay=-1", "delay: -1.0 is less than nothing"),
        ("cut:tokens=-1", "tokens: -1 is less than nothing"),
        ("explode", "kind: 'explode' will not do (allowed: none, status, slow, "),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(ValueError) as error:
        Fault.parse(text)
    assert told in str(error.value)
