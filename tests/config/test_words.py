"""Mistakes in single values, in words."""

from __future__ import annotations

import pytest

from tests.kit.policy_file import mistake


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("limits.max_headers = '5'", "must be a whole number, not text"),
        ("limits.max_headers = 5.5", "must be a whole number, not a number"),
        ("limits.max_headers = true", "must be a whole number, not true or false"),
        ("limits.max_headers = 2026-01-01", "must be a whole number, not a date"),
        ("limits.max_headers = [1]", "must be a whole number, not an array"),
        ("limits.max_headers = 0", "must be at least 1"),
        ("limits.max_header_bytes = 1.5", "is not a size"),
        ("limits.max_header_bytes = 1", "must be at least 256"),
        ("limits.drain = -1", "cannot be negative"),
        ("limits.max_body_bytes = -1", "cannot be negative"),
        ("limits.drain = inf", "must be a finite number"),
        ("limits.drain = nan", "must be a finite number"),
        ("limits.drain = true", "is not a duration"),
        ("limits.drain = 12:00:00", "is not a duration"),
        ("limits = 5", "must be a table, not a whole number"),
        ("upstreams = []", "must be a table, not an array"),
        ("telemetry.server_timing = 'yes'", "must be true or false, not text"),
        ("telemetry.access_log = 'yes'", "is not one of the allowed values"),
        ("telemetry.access_log_sample = 1.5", "must be at most 1"),
        ("telemetry.access_log_sample = '1'", "must be a number, not text"),
        ("listen.http = 7070", "must be text, not a whole number"),
        ("listen.hosts = 'a'", "must be an array, not text"),
        ("policies.p.circuit_breaker.recovery_timeout = 0", "must be more than 0"),
        ("policies.p.circuit_breaker.failure_rate = 2", "must be at most 1"),
        ("policies.p.retry.statuses = [200]", "must be at least 400"),
        ("policies.p.rate_limit.key = 'user'", "is not a key that calls can be counted by"),
        ("policies.p.concurrency = 5", "must be a table, not a whole number"),
    ],
)
def test_a_wrong_value(line: str, said: str) -> None:
    assert mistake(line).problem == said


def test_a_key_that_must_be_there() -> None:
    found = mistake("[upstreams.u]\nurl = 'http://u'\nhealth = { interval = '1s' }")
    assert (found.line, found.key, found.problem) == (3, "upstreams.u.health.path", "is missing")


@pytest.mark.parametrize(
    ("line", "key", "nearest"),
    [
        ("listn.http = ''", "listn", "listen"),
        ("limits.max_header = 1", "limits.max_header", "max_headers"),
        ("policies.p.retry.trys = 1", "policies.p.retry.trys", "tries"),
        ("policies.p.circuit_breaker.probe = 1", "policies.p.circuit_breaker.probe", "probes"),
    ],
)
def test_an_unknown_key_and_the_one_that_was_meant(line: str, key: str, nearest: str) -> None:
    found = mistake(line)
    assert (found.key, found.problem, found.nearest, found.allowed) == (key, "unknown key", nearest, "")


def test_without_a_near_one_all_keys_are_told() -> None:
    assert mistake("admin.zzz = 1").allowed == "token"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("routes.r.timeout = {}", "unknown key: timeouts belong on an upstream or in a policy"),
        ("routes.r.circuit_breaker = false", "unknown key: circuit breakers belong on an upstream or in a policy"),
        ("upstreams.u.retry = {}", "unknown key: retries belong on a route or in a policy"),
        ("upstreams.u.deadline = 1", "unknown key: deadlines belong on a route or in a policy"),
    ],
)
def test_a_table_that_stands_at_the_wrong_end(line: str, said: str) -> None:
    other = "routes.r.match.path = '/'\nroutes.r.chain = ['u']\nupstreams.u.url = 'http://u'"
    assert mistake(f"{other}\n{line}").problem == said
