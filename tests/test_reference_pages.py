"""The tables of the pages for users against the code: errors, admin paths, metrics, log fields; and pages from code."""

from __future__ import annotations

import re

import orjson
import pytest

from sidecar import errors
from sidecar.admin.api import INDEX
from sidecar.errors import Refused
from sidecar.llm import Ask, Dialect, Kind, Usage
from sidecar.telemetry.access_log import AccessLog
from sidecar.telemetry.lines import Timestamp, as_json
from sidecar.telemetry.metrics import WATCHED, Metrics
from tests.kit.commands import ROOT
from tests.kit.finished_calls import finished_call, summary
from tests.kit.reference import WRITTEN


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading, without the table's head."""
    behind = (ROOT / "docs" / page).read_text().split(f"# {heading}\n", 1)[1]
    table = re.search(r"^\|---.*\n((?:\|.*\n)+)", behind, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_error_of_ours_is_told_as_it_answers() -> None:
    told = {
        tuple(cell.strip("`") for cell in row[:5]) for row in rows("headers-and-errors.md", "The sidecar's own errors")
    }
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Refused)]
    answering = [each for each in classes if each is not Refused and not each.__name__.startswith("_")]
    ours = {(each.label, str(each.http_status), each.type, each.error_token, each.grpc_code) for each in answering}
    assert told == ours


def test_every_admin_path_is_told() -> None:
    told = {row[0].strip("`").removeprefix("GET ") for row in rows("operations.md", "The admin listener")}
    assert told == {*INDEX["read"], *INDEX["change"]}


def test_every_metric_is_told_with_its_kind_and_labels() -> None:
    told = {named(row[0])[0]: (row[1], named(row[2])) for row in rows("operations.md", "Metrics")}
    metrics = Metrics(version="1")
    for name in WATCHED:
        metrics.watch(name, list)
    _, text = metrics.exposition("")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text.decode(), re.MULTILINE))
    assert {name: kind for name, (kind, _) in told.items()} == {
        name: kind for name, kind in kinds.items() if not name.startswith("process_")
    }
    labels = {family._name: list(family._labels) for family in metrics._families}
    labels |= {name: list(known) for name, (_, known) in WATCHED.items()}
    assert {name: told[name][1] for name in labels} == labels


def test_every_field_of_a_finished_call_is_told() -> None:
    told = {name for row in rows("operations.md", "Log") for name in named(row[0])}
    lines: list[bytes] = []

    class Lines:
        def write(self, line: bytes) -> None:
            lines.append(line)

    log = AccessLog(Lines(), as_json, Timestamp(), lambda: 0.0)  # type: ignore[arg-type]  # all of a writer that is used
    answered = finished_call()
    answered.llm = Ask(Dialect.OPENAI, Kind.CHAT, b"/chat/completions", model="m", usage=Usage(3, 2))
    for call in (answered, finished_call(code="OK")):
        call.traceparent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        log.write(call, summary())
    assert told == orjson.loads(lines[0]).keys() | orjson.loads(lines[1]).keys()


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_by_machine_is_current(name: str) -> None:
    assert (ROOT / name).read_text() == WRITTEN[name](), f"{name} is not what the code says: run make reference"
