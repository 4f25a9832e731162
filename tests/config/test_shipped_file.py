"""The policy file that comes with the sidecar."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from sidecar.config import load
from sidecar.config.resolve import resolve
from sidecar.settings import ConcurrencySettings, RetrySettings, Settings, TimeoutSettings
from sidecar.settings.json_schema import json_schema
from sidecar.settings.protocols import PRESETS

SHIPPED = Path(__file__).parents[2] / "sidecar.toml"


def test_it_loads_with_no_variable_set() -> None:
    settings = load(SHIPPED, {}).settings
    assert (settings.listen.http, settings.listen.grpc) == ("127.0.0.1:7070", "127.0.0.1:7071")
    assert {name: upstream.protocol for name, upstream in settings.upstreams.items()} == {
        "c-gateway": "c-gateway",
        "router": "router",
        "openai": "openai",
        "anthropic": "anthropic",
    }
    assert {name: route.chain for name, route in settings.routes.items()} == {
        "decide": ("c-gateway", "router"),
        "gateway": ("c-gateway",),
        "gateway-health": ("c-gateway",),
        "router": ("router", "c-gateway"),
        "llm": ("openai",),
        "anthropic": ("anthropic",),
    }
    assert {name: len(model.chain) for name, model in settings.models.items()} == {"smart": 4, "gpt-4o": 2}
    assert settings.models["gpt-4o"].chain[1].prefill
    sorry = settings.static["sorry"]
    assert (sorry.status, sorry.grpc_code, sorry.grpc_message) == (503, "UNAVAILABLE", "all providers are down")


def test_its_variables_hold() -> None:
    environ = {
        "SIDECAR_LISTEN_HTTP": "0.0.0.0:1",
        "BEAMLINE_API_KEY": "k",
        "BEAMLINE_TENANT": "t",
        "OPENAI_API_KEY": "o",
        "ANTHROPIC_API_KEY": "a",
    }
    settings = load(SHIPPED, environ).settings
    upstream = settings.upstreams["c-gateway"]
    assert settings.listen.http == "0.0.0.0:1"
    assert dict(upstream.headers) == {"X-API-Key": "k"}
    assert dict(upstream.default_headers) == {"X-Tenant-ID": "t"}
    assert (settings.upstreams["openai"].api_key, settings.upstreams["anthropic"].api_key) == ("o", "a")


def test_what_it_sets_are_the_built_in_values() -> None:
    """So that a reader sees what holds, and deleting a line changes nothing."""
    settings = load(SHIPPED, {}).settings
    assert settings.listen == Settings().listen
    assert settings.limits == Settings().limits
    assert settings.telemetry == Settings().telemetry
    resolved = resolve(settings)
    for shipped in resolved.upstreams.values():
        assert shipped.timeout == TimeoutSettings.model_validate(PRESETS[shipped.settings.protocol].timeout)
    for route in resolved.routes:
        assert route.deadline == (600 if route.llm else 60)
        for target in (target for chain in (route.targets, *route.models.values()) for target in chain):
            preset = PRESETS[settings.upstreams[target.upstream].protocol]
            assert target.retry == RetrySettings.model_validate(preset.retry)
    assert resolved.upstreams["c-gateway"].concurrency == ConcurrencySettings(max=1, queue=64, max_wait=5.0)
    default = settings.policies["default"].circuit_breaker
    assert default is not None
    assert default == type(default)()


def test_it_fits_the_schema_that_editors_use() -> None:
    jsonschema.validate(tomllib.loads(SHIPPED.read_text()), json_schema())


@pytest.mark.parametrize(
    "text", re.findall(r"^# (?!later)([a-z_]+ *= [^…|;\n]*?)(?:   .*)?$", SHIPPED.read_text(), re.MULTILINE)
)
def test_a_commented_value_is_toml(text: str) -> None:
    tomllib.loads(text)
