from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.window import Window


def test_old_results_leave_by_count() -> None:
    window = Window(3, 60)
    for failed in (True, True, False, False):
        window.record(0.0, failed)
    assert (window.failures(0.0), window.total(0.0)) == (1, 3)


def test_old_results_leave_by_age() -> None:
    window = Window(100, 10)
    window.record(0.0, failed=True)
    window.record(6.0, failed=True)
    assert (window.failures(9.9), window.total(9.9)) == (2, 2)
    assert (window.failures(10.0), window.total(10.0)) == (1, 1)
    assert (window.failures(16.0), window.total(16.0)) == (0, 0)


def test_an_age_is_seen_while_recording_too() -> None:
    window = Window(100, 10)
    window.record(0.0, failed=True)
    window.record(20.0, failed=False)
    assert window.failures(20.0) == 0


def test_clear_forgets_all() -> None:
    window = Window(3, 60)
    window.record(0.0, failed=True)
    window.clear()
    assert (window.failures(0.0), window.total(0.0)) == (0, 0)


@given(
    st.integers(1, 8),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=60),
)
def test_it_counts_what_a_list_would(size: int, seconds: int, results: list[tuple[int, bool]]) -> None:
    window, told, now = Window(size, seconds), [], 0
    for passed, failed in results:
        now += passed
        window.record(now, failed)
        told.append((now, failed))
        kept = [result for result in told[-size:] if now - result[0] < seconds]
        assert window.total(now) == len(kept)
        assert window.failures(now) == sum(result[1] for result in kept)
