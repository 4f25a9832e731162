from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.retry import after, backoff
from sidecar.settings import RetrySettings


def least() -> float:
    return 0.0


def middle() -> float:
    return 0.5


def most() -> float:
    return 1.0 - 2**-53


def test_backoff_doubles_and_ends_where_jitter_meets_the_longest() -> None:
    settings = RetrySettings(backoff=0.1, max_backoff=1.5, multiplier=2.0, jitter=0.5)
    waits = [backoff(settings, tried, middle) for tried in range(1, 7)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_backoff_is_uniform_within_the_jitter_share() -> None:
    settings = RetrySettings(backoff=0.1, max_backoff=5, jitter=0.5)
    assert backoff(settings, 1, least) == pytest.approx(0.05)
    assert backoff(settings, 1, most) == pytest.approx(0.15)


def test_no_jitter_and_no_growth() -> None:
    settings = RetrySettings(backoff=0.3, max_backoff=5, multiplier=1, jitter=0)
    assert [backoff(settings, tried, most) for tried in (1, 5, 50)] == [0.3, 0.3, 0.3]


@given(
    st.builds(
        RetrySettings,
        backoff=st.floats(0, 10),
        max_backoff=st.floats(0, 60),
        multiplier=st.floats(1, 1e6),
        jitter=st.floats(0, 1),
    ),
    st.integers(1, 200),
    st.floats(0, 1, exclude_max=True),
)
def test_backoff_is_never_longer_than_the_longest(settings: RetrySettings, tried: int, chance: float) -> None:
    assert 0 <= backoff(settings, tried, lambda: chance) <= settings.max_backoff * (1 + 1e-12)


def test_jitter_on_a_told_wait_only_adds() -> None:
    settings = RetrySettings(jitter=0.5)
    assert after(settings, 10, least) == 10
    assert after(settings, 10, middle) == 12.5
    assert after(settings, 10, most) == pytest.approx(15)
