"""The schema that editors use underlines what the loader refuses, and not what it takes."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sidecar.settings.json_schema import json_schema
from sidecar.settings.protocols import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = json_schema()
CHECKER = jsonschema.Draft202012Validator(SCHEMA)


def fits(text: str) -> bool:
    return CHECKER.is_valid(tomllib.loads(text))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "limits.max_headers = 5",
        "limits.max_headers = '${X:-5}'",
        "limits.drain = 5",
        "limits.drain = 5.5",
        "limits.drain = '250ms'",
        "limits.drain = '${X}'",
        "limits.drain = '${X}ms'",
        "limits.max_body_bytes = '1MiB'",
        "limits.max_body_bytes = '${X:-1}'",
        "telemetry.server_timing = '${X}'",
        "telemetry.log_level = '${X:-info}'",
        "telemetry.access_log = 'errors'",
        "telemetry.access_log = false",
        "policies.p.circuit_breaker = false",
        "policies.p.circuit_breaker = '${X}'",
        "policies.p.circuit_breaker = { window = '${X}' }",
        "policies.p.retry.statuses = [500, '${X}']",
        "policies.p.retry.statuses = '${X}'",
        "policies.p.hedge.after = 'p95'",
        "policies.p.hedge.after = '300ms'",
        "admin.token = { file = '/run/secrets/x' }",
        "admin.token = '${X}'",
        "upstreams.u.headers = { a = 'b', c = { file = 'd' } }",
        "upstreams.u.health.path = '/healthz'",
        "routes.r.traffic = [{ upstream = 'a', weight = '${X}' }]",
        "routes.r.match = { path = '/a', headers = { a = '*' } }",
        "models.m.chain = ['a/b', { upstream = 'a', model = 'b' }]",
    ],
)
def test_what_the_loader_takes_fits(text: str) -> None:
    assert fits(text)


@pytest.mark.parametrize(
    "text",
    [
        "lisen = {}",
        "limits.max_headers = '5'",
        "limits.max_headers = 0",
        "limits.drain = '5 sec'",
        "limits.max_body_bytes = 1.5",
        "telemetry.log_level = 'warn'",
        "policies.p.circuit_breaker = 5",
        "policies.p.retry.statuses = [200]",
        "policies.p.retry.jitter = 2",
        "admin.token = { fil = 'x' }",
        "upstreams.u.health = {}",
        "routes.r.traffic = [{ upstream = 'a' }]",
        "routes.r.chain = 'a'",
        "faults.f.status = 5",
        "faults.f.cut_after_tokens = -1",
        "models.m.chain = [{ upstream = 'a', model = 'b', max_tokens = 0 }]",
        "limits.max_header_bytes = 255",
        "policies.p.circuit_breaker.window_time = 0",
    ],
)
def test_what_the_loader_refuses_does_not_fit(text: str) -> None:
    assert not fits(text)


def test_nothing_is_null_and_nothing_is_titled_by_machine() -> None:
    text = json.dumps(SCHEMA)
    assert "null" not in text
    assert text.count('"title"') == 1


def test_every_table_is_closed() -> None:
    tables = [SCHEMA, *SCHEMA["$defs"].values()]
    assert all(table["additionalProperties"] is False for table in tables)


def keys() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each key of each table."""
    for name, table in [("", SCHEMA), *SCHEMA["$defs"].items()]:
        for key, value in table["properties"].items():
            yield name, key, value


def test_every_table_and_every_key_is_described_on_one_line() -> None:
    told = [SCHEMA["description"], *(table["description"] for table in SCHEMA["$defs"].values())]
    told += [value.get("description", f"{name}.{key} has none\n") for name, key, value in keys()]
    assert [text for text in told if "\n" in text or not text] == []


def test_defaults_are_told_as_one_writes_them() -> None:
    for name, key, value in keys():
        if "default" in value:
            part = {**value, "$defs": SCHEMA["$defs"]}
            assert jsonschema.Draft202012Validator(part).is_valid(value["default"]), f"{name}.{key}"
    assert SCHEMA["$defs"]["LimitsSettings"]["properties"]["drain"]["default"] == "25s"
    assert SCHEMA["$defs"]["LimitsSettings"]["properties"]["max_held_bytes"]["default"] == "64MiB"


@pytest.mark.parametrize(
    ("table", "key", "told"),
    [
        ("PolicySettings", "deadline", 'c-gateway, router: `"60s"`; grpc: `"0s"`; openai, anthropic: `"10m"`.'),
        ("RetrySettings", "replay_buffer", 'openai, anthropic: `"32MiB"`.'),
        ("PoolSettings", "max", "openai, anthropic: `0`."),
        ("UpstreamSettings", "via", "c-gateway, openai, anthropic: `false`."),
        ("UpstreamSettings", "concurrency", 'c-gateway: `{ max = 1, queue = 64, max_wait = "5s" }`.'),
    ],
)
def test_what_protocols_have_instead_is_told(table: str, key: str, told: str) -> None:
    assert SCHEMA["$defs"][table]["properties"][key]["description"].endswith(f". {told}")


def test_whatever_a_preset_holds_is_told() -> None:
    for protocol, preset in PRESETS.items():
        own = {*preset.retry, *preset.timeout, *preset.circuit_breaker, *preset.pool, *preset.upstream}
        told = {key for _, key, value in keys() if f"{protocol}:" in value["description"].replace(",", ":")}
        assert own <= told
