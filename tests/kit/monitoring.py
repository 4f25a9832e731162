"""What the monitoring example holds, and what there is to be monitored."""

from __future__ import annotations

import re
from typing import Any

import yaml

from sidecar.call import Outcome
from sidecar.engine import attempt
from sidecar.policy import classify
from sidecar.telemetry.metrics import WATCHED, Metrics
from tests.kit.commands import ROOT

EXAMPLE = ROOT / "examples" / "monitoring"
RULES = ("records.yml", "alerts.yml")

OUTCOMES = {each.label for each in vars(classify).values() if isinstance(each, Outcome)}
OUTCOMES |= {each.label for each in classify._ROUTER_OK_FALSE.values()} | {attempt.ABANDONED.label}
OUTCOMES |= {"throttled", "overloaded", "unavailable", "server_error", "http_408", "http_409", "out_of_money"}
OUTCOMES |= {"grpc_lost", "aborted"}
"""How an attempt may be judged: the words of `outcome`."""

# Of the scrape itself and of the process collector, without labels of their own but those of the target.
PROMETHEUS = {name: set[str]() for name in ("up", "process_start_time_seconds", "process_cpu_seconds_total")}
PROMETHEUS |= {name: set() for name in ("process_open_fds", "process_max_fds", "process_resident_memory_bytes")}


def read(name: str) -> Any:
    return yaml.safe_load((EXAMPLE / name).read_text())


def rules() -> list[dict[str, Any]]:
    return [rule for name in RULES for group in read(name)["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def exported() -> dict[str, set[str]]:
    """Each metric's labels, by the name of its samples. `docs/operations.md` has the same, held by a test."""
    metrics = Metrics(version="1")
    known = {family._name: set(family._labels) for family in metrics._families}
    known |= {name: set(labels) for name, (_, labels) in WATCHED.items()}
    for name in re.findall(r"^# TYPE (\S+) histogram", metrics.exposition("")[1].decode(), re.MULTILINE):
        known |= {f"{name}_bucket": known[name] | {"le"}, f"{name}_sum": known[name], f"{name}_count": known[name]}
        del known[name]
    plain = re.findall(r"^([a-z_]+)(?:\{(\w+)=\S+\})? ", metrics.exposition("")[1].decode(), re.MULTILINE)
    known |= {name: {label} - {""} for name, label in plain if name not in known}
    return known | PROMETHEUS
