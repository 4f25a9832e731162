"""Rates and latencies, with numbers."""

from __future__ import annotations

import pytest

from sidecar.telemetry.pulse import nearest_rank


@pytest.mark.parametrize(
    ("values", "percent", "told"),
    [
        ([], 50, None),
        ([3.0], 50, 3.0),
        ([3.0], 99, 3.0),
        ([1.0, 2.0], 50, 1.0),
        ([1.0, 2.0], 95, 2.0),
        ([15.0, 20.0, 35.0, 40.0, 50.0], 50, 35.0),
        ([15.0, 20.0, 35.0, 40.0, 50.0], 95, 50.0),
        ([float(number) for number in range(1, 101)], 50, 50.0),
        ([float(number) for number in range(1, 101)], 95, 95.0),
        ([float(number) for number in range(1, 101)], 99, 99.0),
    ],
)
def test_a_percentile_is_the_nearest_rank(values: list[float], percent: int, told: float | None) -> None:
    assert nearest_rank(values, percent) == told
