"""The page about the policy file against the models: every key, every default, and what is for later."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from sidecar.config import availability
from sidecar.settings import (
    AdminSettings,
    CircuitBreakerSettings,
    ConcurrencySettings,
    FaultSettings,
    HealthSettings,
    KeepaliveSettings,
    LimitsSettings,
    ListenSettings,
    MatchSettings,
    ModelSettings,
    ModelTargetSettings,
    PolicySettings,
    PoolSettings,
    RateLimitSettings,
    RetrySettings,
    RouteLimitsSettings,
    RouteSettings,
    StaticSettings,
    TelemetrySettings,
    TimeoutSettings,
    TlsClientSettings,
    TlsServerSettings,
    UpstreamSettings,
    WeightedSettings,
)
from sidecar.settings.protocols import PRESETS
from tests.kit.commands import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTIONS: Mapping[str, type[BaseModel]] = {
    "`[listen]`": ListenSettings,
    "`http_tls`, `grpc_tls`, `admin_tls`": TlsServerSettings,
    "`[limits]`": LimitsSettings,
    "`[policies.NAME]`": PolicySettings,
    "`retry`": RetrySettings,
    "`timeout`": TimeoutSettings,
    "`circuit_breaker`": CircuitBreakerSettings,
    "`rate_limit`": RateLimitSettings,
    "`concurrency`": ConcurrencySettings,
    "`[upstreams.NAME]`": UpstreamSettings,
    "`pool`": PoolSettings,
    "`keepalive`": KeepaliveSettings,
    "`health`": HealthSettings,
    "`tls`": TlsClientSettings,
    "`[routes.NAME]`": RouteSettings,
    "`match`": MatchSettings,
    "`traffic`": WeightedSettings,
    "`limits`": RouteLimitsSettings,
    "`[models.NAME]`": ModelSettings,
    "A model in `chain`": ModelTargetSettings,
    "`[static.NAME]`": StaticSettings,
    "`[faults.NAME]`": FaultSettings,
    "`[telemetry]`": TelemetrySettings,
    "`[admin]`": AdminSettings,
}
BY_PROTOCOL = {"What differs by protocol", "`api_key`"}
NOTHING = "\N{EN DASH}"


def tables() -> dict[str, list[list[str]]]:
    """The rows of each section's table, cell by cell."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in (ROOT / "docs" / "policy-file.md").read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| `"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def _words(cell: str) -> list[Any]:
    """The names in a cell."""
    return re.findall(r"`([\w-]+)`", cell)


TABLES = tables()
LATER = {re.sub(r"\bNAME\b", "*", row[0].strip("`")) for row in TABLES["Later"]}


def test_every_section_is_known() -> None:
    assert set(TABLES) == {*SECTIONS, *BY_PROTOCOL, "Later"}


@pytest.mark.parametrize("section", sorted(BY_PROTOCOL))
def test_every_protocol_is_told_once(section: str) -> None:
    told = [protocol for row in TABLES[section] for protocol in _words(row[0])]
    assert sorted(told) == sorted(PRESETS)


def test_what_a_protocol_brings_is_told() -> None:
    times = {0.0: "none", 60.0: "60 s", 300.0: "5 m", 600.0: "10 m"}
    for row in TABLES["What differs by protocol"]:
        for protocol in _words(row[0]):
            preset = PRESETS[protocol]
            assert row[1] == times[preset.deadline]
            differs = {*preset.timeout, *preset.retry, *preset.circuit_breaker, *preset.upstream}
            differs |= {"pool.max"} if preset.pool else set()
            differs |= {"concurrency"} if preset.concurrency else set()
            told = re.findall(r"`([\w.]+)", f"{row[2]} {row[3]}")
            assert sorted(told) == sorted(differs), protocol


def test_how_a_key_is_sent_is_told() -> None:
    for row in TABLES["`api_key`"]:
        for protocol in _words(row[0]):
            for cell, auth in zip(row[1:], (None, "bearer", "api-key"), strict=True):
                said = row[1] if cell in ("the same", "the same as unset") else cell
                sent = UpstreamSettings.model_validate({"protocol": protocol, "auth": auth}).credential_header
                assert said.strip("`").partition(":")[0].lower() == sent


def test_what_is_for_later_is_what_a_file_is_refused_for() -> None:
    assert {re.sub(r"^\*\.\*\.", "", pattern) for pattern, _ in availability._TABLE} == LATER


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_told_now_or_for_later(section: str) -> None:
    told = [row[0].strip("`") for row in TABLES[section]]
    assert len(told) == len(set(told))
    later = {pattern.rpartition(".")[2] for pattern in LATER}
    known = set(SECTIONS[section].model_fields)
    assert set(told) <= known
    assert known - set(told) <= later


@pytest.mark.parametrize("section", SECTIONS)
def test_every_default_is_the_models_own(section: str) -> None:
    model = SECTIONS[section]
    for name, default, _ in TABLES[section]:
        key = name.strip("`")
        held: Any = model.model_fields[key].get_default(call_default_factory=True)
        if default == NOTHING:
            assert held in (PydanticUndefined, None, "") or isinstance(held, BaseModel) or not held, key
            continue
        said = tomllib.loads(f"{key} = {default.strip('`')}")
        field = model.__pydantic_validator__.validate_assignment(model.model_construct(), key, said[key])
        assert getattr(field, key) == held, key
