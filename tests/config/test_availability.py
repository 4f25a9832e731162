"""What a later version brings is refused, never silently ignored; what promises nothing passes."""

from __future__ import annotations

import tomllib

import pytest

from sidecar.config.availability import NOT_YET, unavailable
from sidecar.config.places import dotted
from tests.kit.policy_file import ROUTED, load, mistakes


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('routes.r.hedge = { after = "p95" }', "routes.r.hedge"),
        ("routes.r.cache = {}", "routes.r.cache"),
        ("policies.p.cache = {}", "policies.p.cache"),
        ("upstreams.a.concurrency.adaptive = true", "upstreams.a.concurrency.adaptive"),
    ],
)
def test_a_key_of_a_later_version_is_told(text: str, place: str) -> None:
    (problem,) = unavailable(tomllib.loads(text))
    assert (dotted(problem.place), problem.problem) == (place, NOT_YET)


@pytest.mark.parametrize(
    "text",
    [
        'upstreams.a.protocol = "router"',
        "routes.r.hedge = false",
        "routes.r.rate_limit = { store = 'local' }",
        "upstreams.a.concurrency.adaptive = false",
        "telemetry.server_timing = true",
        'limits.max_held_bytes = "64MiB"',
        "routes.r.rate_limit.tokens_per_minute = 9",
        'static.s = { status = 503, headers = { a = "b" }, body = "" }',
    ],
)
def test_what_promises_nothing_passes(text: str) -> None:
    assert list(unavailable(tomllib.loads(text))) == []


@pytest.mark.parametrize("text", ["listen = 3", "upstreams = [1]", "routes.r = 1", "policies.p.retry = 'x'"])
def test_a_file_of_another_shape_does_not_break_it(text: str) -> None:
    assert list(unavailable(tomllib.loads(text))) == []


def test_it_is_a_mistake_of_the_file_with_its_line() -> None:
    (found,) = mistakes(f"{ROUTED}\ncache = {{}}\n")
    assert (found.line, found.key, found.problem) == (8, "routes.r.cache", NOT_YET)


def test_a_variable_decides_like_a_value() -> None:
    text = f'{ROUTED}\nhedge = "${{HEDGE:-off}}"\n'
    assert load(text).settings.routes
    (found,) = mistakes(text, {"HEDGE": "on"})
    assert (found.key, found.problem) == ("routes.r.hedge", NOT_YET)
