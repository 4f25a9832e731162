"""The monitoring example: what its rules and its dashboard ask for is there, they work, and they say what to do."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.kit.commands import SIDECAR, shell
from tests.kit.monitoring import EXAMPLE, RULES, alerts, exported, read, rules
from tests.kit.tools import tool
from tests.kit.transcript import blocks, terminal

if TYPE_CHECKING:
    from pathlib import Path

RULE_TESTS = ("rules_test.yml", "rules_test_upstreams.yml")
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*", "$route": ".*", "$upstream": ".*"}

ONE_OF_A_SAMPLE = re.compile(r"\b([a-z_][a-z0-9_]*)\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!=|!~|=)")
GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
OF_A_TARGET = {"job", "instance"}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLE / "grafana" / "sidecar.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """All that is asked of Prometheus, with what Grafana puts in."""
    asked = [rule["expr"] for rule in rules()]
    asked += [target["expr"] for panel in panels() for target in panel["targets"]]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            asked.append(re.sub(r"label_values\((.*), (\w+)\)", r"sum by (\2) (\1)", variable["definition"]))
    asked += [note["expr"] for note in dashboard()["annotations"]["list"] if "expr" in note]
    for name, value in VARIABLES.items():
        asked = [text.replace(name, value) for text in asked]
    return asked


# What is asked for.


def test_what_rules_and_dashboard_ask_for_is_exported() -> None:
    known = exported() | {rule["record"]: set[str]() for rule in rules() if "record" in rule}
    missing = []
    for text in expressions():
        for name, matchers in ONE_OF_A_SAMPLE.findall(text):
            if name not in known:
                missing.append(f"{name}: no such metric")
                continue
            labels = set(MATCHER.findall(matchers)) - OF_A_TARGET - known[name]
            missing += [f"{name}: no label {label}" for label in sorted(labels)]
    assert missing == []


def test_each_label_that_is_grouped_by_is_one_of_a_metric_of_the_expression() -> None:
    known = exported()
    for text in expressions():
        grouped = {label.strip() for labels in GROUPED.findall(text) for label in labels.split(",")} - {""}
        there = set[str]().union(*(known.get(name, set()) for name, _ in ONE_OF_A_SAMPLE.findall(text)))
        made = {"route"} if "label_replace" in text else set()
        assert grouped <= there | made | OF_A_TARGET, text


def test_every_metric_is_used_by_the_dashboard() -> None:
    """But for those that say the same in another way."""
    asked = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    names = {name.removesuffix("_bucket") for name in exported() if not name.endswith(("_sum", "_count"))}
    assert {name for name in names if name not in asked and not name.startswith("process_")} <= {"python_info"}


# Prometheus' own opinion.


async def test_the_rules_are_rules() -> None:
    promtool = tool("promtool", package="prometheus")
    told = await shell(f"cd {EXAMPLE} && {promtool} check rules {' '.join(RULES)}")
    assert told.count("SUCCESS") == len(RULES)


async def test_the_scrape_configurations_are_right(tmp_path: Path) -> None:
    """Debian's Prometheus cannot look for pods: that part is replaced by a file of targets, the rest is as it is."""
    promtool = tool("promtool", package="prometheus")
    for name in RULES:
        (tmp_path / name).write_text((EXAMPLE / name).read_text())
    (tmp_path / "prometheus.yml").write_text((EXAMPLE / "prometheus.yml").read_text())
    pods = (EXAMPLE / "prometheus-pods.yml").read_text()
    found = "kubernetes_sd_configs:\n      - role: pod\n"
    assert found in pods
    (tmp_path / "pods.yml").write_text(pods.replace(found, 'static_configs: [{ targets: ["10.0.0.1:9902"] }]\n'))
    told = await shell(f"cd {tmp_path} && {promtool} check config prometheus.yml pods.yml")
    assert told.count("is valid prometheus config file syntax") == 2


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-pods.yml"])
def test_the_job_has_the_name_that_the_rules_ask_for(name: str) -> None:
    assert [job["job_name"] for job in read(name)["scrape_configs"]] == ["sidecar"]
    asked = [text for text in expressions() if "{" in text]
    assert [text for text in asked if re.search(r"\{(?!job=\"sidecar\")", text)] == []


async def test_every_expression_of_the_dashboard_parses(tmp_path: Path) -> None:
    promtool = tool("promtool", package="prometheus")
    records = [{"record": f"expression:{at}", "expr": text} for at, text in enumerate(expressions())]
    (tmp_path / "all.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": records}]}))
    assert f"SUCCESS: {len(records)} rules found" in await shell(f"{promtool} check rules {tmp_path}/all.yml")


# Alerts that help.


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
async def test_an_alert_says_how_bad_it_is_what_it_means_and_what_to_type(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    assert len(alert["annotations"]["summary"]) <= 120


async def test_every_command_of_a_runbook_exists() -> None:
    known = set(re.findall(r"^  ([a-z-]+)  ", await shell(f"{SIDECAR} --help"), re.MULTILINE))
    for alert in alerts():
        named = set(re.findall(r"\bsidecar ([a-z-]+)", alert["annotations"]["runbook"]))
        assert named & known, alert["alert"]


def test_each_alert_is_tested_where_it_fires_and_where_it_does_not() -> None:
    fires, quiet = set[str](), set[str]()
    for name in RULE_TESTS:
        for test in read(name)["tests"]:
            for check in test.get("promql_expr_test", ()):
                said = re.findall(r'alertname="(\w+)"', check["expr"])
                (fires if check.get("exp_samples") else quiet).update(said)
    names = {alert["alert"] for alert in alerts()}
    assert (names - fires, names - quiet) == (set(), set())


def test_names_are_said_once() -> None:
    names = [rule.get("alert") or rule["record"] for rule in rules()]
    assert len(names) == len(set(names))


# The dashboard.


def test_the_dashboard_is_whole() -> None:
    board = dashboard()
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    assert board["uid"] == "sidecar"
    assert board["schemaVersion"] >= 39
    variables = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query", "route": "query", "upstream": "query"}
    text = json.dumps(board)
    assert set(re.findall(r"\$(?!__)\{?([a-z]\w+)", text)) <= set(variables)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_has_a_source_a_unit_and_a_word_of_explanation(panel: dict[str, Any]) -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["datasource"] == source
    assert [target["datasource"] for target in panel["targets"]] == [source] * len(panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["description"]


def test_panels_do_not_overlap_and_fill_their_width() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


# As its README says.


@pytest.mark.timeout(120)
async def test_the_readme_is_a_session_that_goes_as_it_says(tmp_path: Path) -> None:
    tool("prometheus")
    async with terminal(tmp_path) as terminals:
        terminals.place(
            *(f"examples/monitoring/{path.name}" for path in EXAMPLE.iterdir() if path.is_file()),
            "examples/monitoring/grafana/sidecar.json",
        )
        for block in blocks(EXAMPLE / "README.md"):
            printed = await terminals.type(block)
    # The rules do what their tests say: the last block runs these.
    assert printed.count("Unit Testing:") == printed.splitlines().count("  SUCCESS") == len(RULE_TESTS), printed


def test_the_readme_counts_right() -> None:
    text = (EXAMPLE / "README.md").read_text()
    queries = sum(len(panel["targets"]) for panel in panels())
    assert f"| {len(alerts())} alerts," in text
    assert f"{len(rules())} rules, 0 with an error" in text
    assert f"{queries} queries of the dashboard, 0 with an error" in text
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert [row for row in rows if f"| {row} |" not in text] == []
