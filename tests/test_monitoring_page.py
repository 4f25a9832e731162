"""`docs/monitoring.md`: every metric is on it, with labels that it has; its queries and alerts are some."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from sidecar.dialects.stream_reader import Meaning
from tests.kit.commands import ROOT, shell
from tests.kit.monitoring import OUTCOMES, alerts, exported
from tests.kit.tools import tool

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "monitoring.md").read_text()
TICKED = re.compile(r"`([^`]+)`")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table behind a heading."""
    found = re.search(r"^\|---.*\n((?:\|.*\n)+)", PAGE.split(f"## {heading}\n", 1)[1], re.MULTILINE)
    assert found is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]


def families() -> dict[str, set[str]]:
    """Each metric's labels."""
    samples = exported()
    histograms = {name.removesuffix("_bucket") for name in samples if name.endswith("_bucket")}
    found = {name: labels for name, labels in samples.items() if not re.search(r"_(sum|count|bucket)$", name)}
    found = {name: labels for name, labels in found.items() if not name.startswith("process_") and name != "up"}
    return found | {name: samples[f"{name}_bucket"] - {"le"} for name in histograms}


def test_every_metric_is_on_the_page() -> None:
    told = {TICKED.findall(row[0])[0] for row in table("Every metric")}
    assert told == {*families(), "process_*"}


def test_no_metric_is_told_to_have_a_label_that_it_has_not() -> None:
    labels = set[str]().union(*families().values())
    for name, said, _ in table("Every metric"):
        metric = TICKED.findall(name)[0]
        told = {TICKED.findall(part)[0] for part in re.split(r";", said) if TICKED.findall(part)} & labels
        assert told <= families().get(metric, set()), metric


def test_words_of_labels_are_those_that_are_counted() -> None:
    rows = {TICKED.findall(name)[0]: set(TICKED.findall(said)) for name, said, _ in table("Every metric")}
    assert rows["sidecar_attempts_total"] - {"outcome"} <= OUTCOMES
    assert rows["sidecar_stream_events_total"] - {"kind"} == {each.value for each in Meaning}


def test_every_alert_that_is_named_is_there() -> None:
    there = {alert["alert"]: alert for alert in alerts()}
    assert f"has {len(there)}." in PAGE
    for name, severity, _, _ in table("Alerts"):
        assert there[name.strip("`")]["labels"]["severity"] == severity


async def test_every_query_is_one_and_asks_for_what_is_exported(tmp_path: Path) -> None:
    promtool = tool("promtool", package="prometheus")
    queries = re.findall(r"^```promql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    rules = [{"record": f"query:{at}", "expr": text} for at, text in enumerate(queries)]
    (tmp_path / "page.yml").write_text(yaml.safe_dump({"groups": [{"name": "page", "rules": rules}]}))
    assert f"SUCCESS: {len(queries)} rules found" in await shell(f"{promtool} check rules {tmp_path}/page.yml")
    named = {name for text in queries for name in re.findall(r"(\w+)\{", text)}
    assert named <= exported().keys()
