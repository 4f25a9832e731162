"""The rest that a provider tells before it refuses."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.dialects.rate_headers import rest_told

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp()


def rest(**fields: str) -> float:
    return rest_told({name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}, NOW)


def reset_in(reset: str) -> float:
    return rest(x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests=reset)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("1h2m3s", 3723.0),
        ("1m", 60.0),
        ("2m59.56s", 179.56),
        ("1d12h", 129600.0),
        ("1s500ms", 1.5),
        ("0s", 0.0),
        ("7", 7.0),
        ("0.25", 0.25),
        # A time, in seconds or milliseconds since 1970, or spelled.
        (str(int(NOW) + 30), 30.0),
        (str((int(NOW) + 30) * 1000), 30.0),
        (str(int(NOW) - 30), 0.0),
        ("2026-11-21T12:00:30Z", 30.0),
        ("2026-11-21T13:00:30.500+01:00", 30.5),
        ("2026-11-21T12:00:30", 30.0),
        ("2026-11-21T11:59:30Z", 0.0),
    ],
)
def test_a_reset_is_read_in_each_notation(reset: str, seconds: float) -> None:
    assert reset_in(reset) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "reset",
    [
        *("", "s", "soon", "-5", "-5s", "1e3", "nan", "inf", "5 s", "5S", "3s2m", "1_000", "0x10", ".", "1.", "µs"),
        *("9" * 400, "2026-13-45T99:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59x"),
    ],
)
def test_a_reset_that_cannot_be_read_tells_no_rest(reset: str) -> None:
    assert reset_in(reset) == 0.0


def test_nothing_is_told_while_something_remains() -> None:
    assert rest() == 0.0
    assert rest(x_ratelimit_remaining_requests="1", x_ratelimit_reset_requests="1s") == 0.0
    assert rest(x_ratelimit_reset_requests="1s") == 0.0
    assert rest(anthropic_ratelimit_tokens_remaining="soon", anthropic_ratelimit_tokens_reset="30") == 0.0
    assert rest(ratelimit='"default";r=10;t=30') == 0.0


def test_no_reset_is_no_rest() -> None:
    assert rest(x_ratelimit_remaining_requests="0") == 0.0
    assert rest(ratelimit='"default";r=0') == 0.0


def test_a_window_that_lets_nothing_through_is_no_window() -> None:
    told = {"x_ratelimit_limit_tokens": "0", "x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "1h"}
    assert rest(**told) == 0.0
    assert rest(ratelimit="limit=0, remaining=0, reset=50") == 0.0


def test_each_window_of_openai_counts_for_itself() -> None:
    fields = {
        "x_ratelimit_limit_requests": "60",
        "x_ratelimit_remaining_requests": "59",
        "x_ratelimit_reset_requests": "1h",
        "x_ratelimit_limit_tokens": "150000",
        "x_ratelimit_remaining_tokens": "0",
        "x_ratelimit_reset_tokens": "6m0s",
    }
    assert rest(**fields) == 360.0


@pytest.mark.parametrize("window", ["requests", "tokens", "input_tokens", "output_tokens"])
def test_each_window_of_anthropic_counts(window: str) -> None:
    prefix = f"anthropic_ratelimit_{window}"
    assert rest(**{f"{prefix}_remaining": "0", f"{prefix}_reset": "2026-11-21T12:01:00Z"}) == 60.0


def test_an_empty_priority_tier_stops_nobody() -> None:
    prefix = "anthropic_priority_input_tokens"
    assert rest(**{f"{prefix}_remaining": "0", f"{prefix}_reset": "2026-11-21T12:01:00Z"}) == 0.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ('"default";r=0;t=30', 30.0),
        ('"default"; r=0; t=30', 30.0),
        ("default;t=30;r=0", 30.0),
        ('"burst";r=0;t=5, "daily";r=7;t=3600', 5.0),
        ('"burst";r=0;t=5,"daily";r=0;t=3600;pk=:cHNk:', 3600.0),
        ('"a,b;r=0;t=9\\"";r=1;t=30', 0.0),
        ("limit=100, remaining=0, reset=50", 50.0),
        ("limit=100, remaining=5, reset=50", 0.0),
        ("reset=50,remaining=0", 50.0),
    ],
)
def test_one_field_tells_all(value: str, seconds: float) -> None:
    assert rest(ratelimit=value) == seconds


def test_three_fields_tell_one_window() -> None:
    assert rest(ratelimit_limit="100", ratelimit_remaining="0", ratelimit_reset="50") == 50.0
    assert rest(x_ratelimit_remaining="0", x_ratelimit_reset="50") == 50.0


def test_the_longest_rest_counts() -> None:
    assert (
        rest(
            x_ratelimit_remaining_requests="0",
            x_ratelimit_reset_requests="2s",
            x_ratelimit_remaining_tokens="0",
            x_ratelimit_reset_tokens="9s",
            ratelimit='"default";r=0;t=5',
        )
        == 9.0
    )


VALUES = st.one_of(
    st.binary(max_size=40), st.text('0123456789dhms.:-TZ+rt=;," remainingreset', max_size=40).map(str.encode)
)


@given(VALUES, VALUES)
@example(b"0001-01-01T00:00:00+23:59", b"")
@example(b"9999-12-31T23:59:59-23:59", b"")
def test_no_value_breaks_the_reader(reset: bytes, one: bytes) -> None:
    told = rest_told({b"ratelimit-remaining": b"0", b"ratelimit-reset": reset, b"ratelimit": one}, NOW)
    assert 0.0 <= told < math.inf


@given(st.timedeltas(timedelta(0), timedelta(days=3)))
def test_a_time_we_write_is_read_back(wait: timedelta) -> None:
    time = (datetime.fromtimestamp(NOW, UTC) + wait).isoformat()
    told = rest(anthropic_ratelimit_requests_remaining="0", anthropic_ratelimit_requests_reset=time)
    assert told == pytest.approx(wait.total_seconds(), abs=1e-5)
