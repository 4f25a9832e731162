"""Where each value comes from: a line of the file, the protocol, or us."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.config.resolve import resolve_route, resolve_upstream, route_layers, upstream_layers
from sidecar.config.sources import Sources, unit_at, unit_of
from sidecar.settings import CircuitBreakerSettings, LimitsSettings, RetrySettings
from sidecar.settings.protocols import PRESETS
from tests.kit.policy_file import load

FILE = """
[policies.default]
retry = { tries = 4 }
[policies.calm.retry]
jitter = 0.25
backoff = "${WAIT}"
[policies.calm]
circuit_breaker = false
[upstreams.openai]
protocol = "openai"
url = "http://127.0.0.1:1/v1"
policy = "calm"
[routes.r]
match = { path = "/*" }
chain = ["openai"]
policy = "calm"
retry = { patience = "1500ms" }
"""


def sources_of(text: str = FILE, **environ: str) -> tuple[Sources, Any]:
    loaded = load(text, {"WAIT": "1s", **environ})
    return Sources("sidecar.toml", loaded.lines, loaded.secrets), loaded.settings


def test_a_key_comes_from_the_strongest_table_that_sets_it() -> None:
    sources, settings = sources_of()
    (target,) = resolve_route(settings, "r").targets
    told = sources.table(target.retry, "retry", route_layers(settings, "r"), PRESETS["openai"].retry, "openai")
    assert told["patience"] == {
        "value": 1.5, "unit": "s", "from": "routes.r.retry.patience", "file": "sidecar.toml", "line": 17,
    }  # fmt: skip
    assert told["jitter"] == {
        "value": 0.25, "from": "policies.calm.retry.jitter", "file": "sidecar.toml", "line": 5,
    }  # fmt: skip
    assert told["tries"] == {
        "value": 4, "from": "policies.default.retry.tries", "file": "sidecar.toml", "line": 3,
    }  # fmt: skip
    assert told["max_backoff"] == {"value": 8.0, "unit": "s", "from": "protocol openai"}
    assert told["replay_buffer"] == {"value": 32 << 20, "unit": "bytes", "from": "protocol openai"}
    assert told["multiplier"] == {"value": 2.0, "from": "built in"}
    assert list(told) == list(RetrySettings.model_fields)


def test_what_came_from_the_environment_is_hidden_and_its_place_is_told() -> None:
    sources, settings = sources_of()
    (target,) = resolve_route(settings, "r").targets
    told = sources.table(target.retry, "retry", route_layers(settings, "r"), {}, "openai")
    assert told["backoff"]["value"] == "***"
    assert told["backoff"]["line"] == 6


def test_a_table_that_is_off_says_who_switched_it_off() -> None:
    sources, settings = sources_of()
    upstream, owners = resolve_upstream(settings, "openai"), upstream_layers(settings, "openai")
    assert sources.table(upstream.circuit_breaker, "circuit_breaker", owners, {}, "openai") == {
        "value": False, "from": "policies.calm.circuit_breaker", "file": "sidecar.toml", "line": 8,
    }  # fmt: skip
    assert sources.table(None, "rate_limit", owners, {}, "openai") == {"value": False, "from": "built in"}


@pytest.mark.parametrize(
    ("table", "key", "unit"),
    [
        (RetrySettings(), "backoff", "s"),
        (RetrySettings(), "replay_buffer", "bytes"),
        (RetrySettings(), "tries", ""),
        (CircuitBreakerSettings(), "window_time", "s"),
        (LimitsSettings(), "max_body_bytes", "bytes"),
    ],
)
def test_a_value_has_its_unit(table: Any, key: str, unit: str) -> None:
    assert unit_of(table, key) == unit


def test_a_password_in_a_url_is_not_shown() -> None:
    sources, _ = sources_of()
    assert sources.value("http://me:pw@host/", ("upstreams", "a", "url"))["value"] == "http://***@host/"


@pytest.mark.parametrize(
    ("place", "unit"),
    [
        (("routes", "r", "retry", "backoff"), "s"),
        (("limits", "max_body_bytes"), "bytes"),
        (("upstreams", "u", "health", "interval"), "s"),
        (("routes", "r", "retry", "tries"), ""),
        (("upstreams", "u", "headers", "X"), ""),
        (("routes", "r"), ""),
        (("nothing", "below"), ""),
        ((), ""),
    ],
)
def test_the_unit_of_a_place(place: tuple[str, ...], unit: str) -> None:
    assert unit_at(place) == unit
