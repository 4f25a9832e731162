"""Values that exclude each other once the layers are merged."""

from __future__ import annotations

import pytest

from tests.kit.policy_file import ROUTED, load, mistake


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[policies.default.circuit_breaker]\nfailure_threshold = 101",
         "policies.default.circuit_breaker.failure_threshold"),
        ("[policies.default.circuit_breaker]\nwindow = 4", "policies.default.circuit_breaker.window"),
        ("[upstreams.a.circuit_breaker]\nwindow = 4", "upstreams.a.circuit_breaker.window"),
        ("[policies.default.retry]\nbackoff = '6s'", "policies.default.retry.backoff"),
        ("[policies.p.retry]\nmax_backoff = '50ms'", "policies.p.retry.max_backoff"),
        ("[routes.r.retry]\nbackoff = '6s'", "routes.r.retry.backoff"),
        ("[routes.r.rate_limit]\nkey = 'ip'", "routes.r.rate_limit"),
        ("[upstreams.a.rate_limit]\nper_minute = 0", "upstreams.a.rate_limit"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_told_where_the_file_says_it(text: str, key: str) -> None:
    assert mistake(ROUTED + text).key == key


@pytest.mark.parametrize(
    "text",
    [
        "[policies.default.circuit_breaker]\nwindow = 500\n[upstreams.a.circuit_breaker]\nfailure_threshold = 400",
        "[policies.default.retry]\nmax_backoff = '9s'\n[routes.r.retry]\nbackoff = '6s'",
        "[policies.default.rate_limit]\nper_minute = 5\n[routes.r.rate_limit]\nkey = 'ip'",
        "[policies.default.rate_limit]\ntokens_per_minute = 5",
        "[policies.default]\ncircuit_breaker = false\nrate_limit = { per_hour = 1 }",
    ],
)
def test_layers_that_fit_are_fine(text: str) -> None:
    load(ROUTED + text)


def test_two_layers_that_do_not_fit_are_told_at_the_stronger_one() -> None:
    text = "[policies.default.circuit_breaker]\nwindow = 50\n[upstreams.a.circuit_breaker]\nfailure_threshold = 60"
    found = mistake(ROUTED + text)
    assert found.key == "upstreams.a.circuit_breaker.failure_threshold"
    assert found.problem == "failure_threshold (60) is more than window (50): it never opens"
