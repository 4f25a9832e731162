"""What is left of a rate limit, as header lines."""

from __future__ import annotations

from sidecar.listeners.quota_lines import QuotaLines
from sidecar.quota import Quota


def test_each_window_in_the_draft_s_fields_and_in_the_older_ones() -> None:
    lines = QuotaLines(lambda: 1_000_000.2)
    quotas = [Quota(50, 60.0, 49, 1.2), Quota(1000, 3600.0, 0, 3.6)]
    assert lines.of(quotas).decode().split("\r\n") == [
        'RateLimit-Policy: "minute";q=50;w=60, "hour";q=1000;w=3600',
        'RateLimit: "minute";r=49;t=2, "hour";r=0;t=4',
        "X-RateLimit-Limit-Minute: 50",
        "X-RateLimit-Remaining-Minute: 49",
        "X-RateLimit-Reset-Minute: 1000003",
        "X-RateLimit-Limit-Hour: 1000",
        "X-RateLimit-Remaining-Hour: 0",
        "X-RateLimit-Reset-Hour: 1000005",
    ]


def test_a_window_of_tokens_is_not_told_as_one_of_requests() -> None:
    quotas = [Quota(50, 60.0, 49, 1.2), Quota(90_000, 60.0, 40_000, 33.4, "tokens")]
    assert QuotaLines(lambda: 0.0).of(quotas).decode().split("\r\n") == [
        'RateLimit-Policy: "minute";q=50;w=60, "tokens-per-minute";q=90000;qu="tokens";w=60',
        'RateLimit: "minute";r=49;t=2, "tokens-per-minute";r=40000;t=34',
        "X-RateLimit-Limit-Minute: 50",
        "X-RateLimit-Remaining-Minute: 49",
        "X-RateLimit-Reset-Minute: 2",
    ]


def test_a_limit_of_tokens_alone_has_the_draft_s_fields_only() -> None:
    lines = QuotaLines(lambda: 0.0)
    requests = lines.of([Quota(600, 60.0, 599, 0.1)])
    assert lines.of([Quota(600, 60.0, 0, 60.0, "tokens")]).decode().split("\r\n") == [
        'RateLimit-Policy: "tokens-per-minute";q=600;qu="tokens";w=60',
        'RateLimit: "tokens-per-minute";r=0;t=60',
    ]
    assert lines.of([Quota(600, 60.0, 599, 0.1)]) == requests, "the same numbers of another unit are another limit"


def test_what_is_kept_of_a_limit_is_not_its_level() -> None:
    lines = QuotaLines(lambda: 0.0)
    first, second = (lines.of([Quota(5, 1.0, left, 0.0)]) for left in (4, 3))
    assert (b'"second";r=4' in first, b'"second";r=3' in second) == (True, True)
