"""The wait that an answer tells, as upstreams write it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.retry_after import LONGEST_WAIT, parse_wait

if TYPE_CHECKING:
    from sidecar.call import Header

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def wall() -> float:
    return NOW.timestamp()


def wait(*fields: Header) -> float | None:
    return parse_wait(fields, wall)


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        (b"Retry-After", b"7", 7.0),
        (b"retry-after", b" 7 ", 7.0),
        (b"Retry-After", b"0", 0.0),
        (b"Retry-After", b"1.5", 1.5),
        (b"Retry-After", b"-3", 0.0),
        (b"Retry-After", b"99999999999999999999", LONGEST_WAIT),
        (b"Retry-After", b"9" * 5000, LONGEST_WAIT),
        (b"Retry-After-Ms", b"1500", 1.5),
        (b"x-ms-retry-after-ms", b"250.5", 0.2505),
        (b"retry-after-ms", b"-1", 0.0),
        # The three forms of a date.
        (b"Retry-After", b"Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        (b"Retry-After", b"Saturday, 21-Nov-26 12:00:30 GMT", 30.0),
        (b"Retry-After", b"Sat Nov 21 12:00:30 2026", 30.0),
        (b"Retry-After", b"Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        (b"Retry-After", b"Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
    ],
)
def test_a_wait_is_read(name: bytes, value: bytes, seconds: float) -> None:
    assert wait((name, value)) == seconds


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"soon",
        b"1;",
        b"1e3",
        b"0x10",
        b"nan",
        b"inf",
        b"1_000",
        b"+5",
        b"7, 8",
        b"\xff\xfe",
        b"Sat, 21 Nov 2026",
        b"Sat, 99 Nov 2026 12:00:30 GMT",
        b"Sat, 21 Nov 99999999999999999999 12:00:30 GMT",
    ],
)
def test_what_cannot_be_read_tells_no_wait(value: bytes) -> None:
    assert wait((b"Retry-After", value)) is None
    assert wait((b"Retry-After-Ms", value)) is None


def test_no_field_tells_no_wait() -> None:
    assert wait() is None
    assert wait((b"Content-Type", b"7"), (b"etag-filler", b"7")) is None


def test_milliseconds_win_over_seconds_in_any_order() -> None:
    assert wait((b"Retry-After", b"2"), (b"retry-after-ms", b"1200")) == 1.2
    assert wait((b"retry-after-ms", b"1200"), (b"Retry-After", b"2")) == 1.2


def test_unreadable_milliseconds_leave_the_seconds() -> None:
    assert wait((b"retry-after-ms", b"soon"), (b"Retry-After", b"2")) == 2.0


def test_the_first_readable_retry_after_counts() -> None:
    assert wait((b"Retry-After", b"soon"), (b"Retry-After", b"2"), (b"Retry-After", b"3")) == 2.0


@given(st.integers(-400 * 86400, 400 * 86400))
def test_a_date_we_write_is_read_back(seconds: int) -> None:
    date = format_datetime(datetime.fromtimestamp(wall() + seconds, UTC), usegmt=True)
    assert wait((b"Retry-After", date.encode())) == min(max(seconds, 0), LONGEST_WAIT)


@given(st.one_of(st.binary(max_size=60), st.text("0123456789 :,-+.GMTSatNov/()", max_size=40).map(str.encode)))
@example(b"Sat, 21 Nov 2026 12:00:30 +9999")
@example(b"0 0 0 0:0 0")
def test_no_value_breaks_the_reader(value: bytes) -> None:
    read = wait((b"Retry-After", value))
    assert read is None or 0 <= read <= LONGEST_WAIT
