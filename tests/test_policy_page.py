"""The page about the policy file against the code: what protocols bring, how a key is sent, what wins, what is later.

Every single key is on the page that is written by machine.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from sidecar.config import availability
from sidecar.settings import PolicySettings, UpstreamSettings
from sidecar.settings.policies import RoutePolicy, SharedPolicy, UpstreamPolicy
from sidecar.settings.protocols import PRESETS
from tests.kit.commands import ROOT

BY_PROTOCOL = {"What differs by protocol", "`api_key`"}


def tables() -> dict[str, list[list[str]]]:
    """The rows of each section's table, cell by cell."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in (ROOT / "docs" / "policy-file.md").read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith(("| key", "| protocol", "| asked by")):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def _words(cell: str) -> list[Any]:
    """The names in a cell."""
    return re.findall(r"`([\w-]+)`", cell)


TABLES = tables()
LATER = {re.sub(r"\bNAME\b", "*", row[0].strip("`")) for row in TABLES["Later"]}


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


def test_who_asks_for_each_table_of_a_policy_is_told() -> None:
    told = {row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in TABLES["What wins"]}
    later = {"hedge", "cache"}
    assert set(told) == {"routes", "upstreams", "either, each its own"}
    assert told["routes"] == set(RoutePolicy.model_fields)
    assert told["upstreams"] == set(UpstreamPolicy.model_fields)
    assert told["either, each its own"] == set(SharedPolicy.model_fields) - later
    assert set.union(*told.values(), later) == set(PolicySettings.model_fields)
    assert later <= LATER
