"""The schema that editors use underlines what the loader refuses, and not what it takes."""

from __future__ import annotations

import json
import tomllib

import jsonschema
import pytest

from sidecar.settings.json_schema import json_schema

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
