"""docs/traces.md: what it shows was printed, what it names exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_stage import GPT_FIRST, stage
from tests.kit.otlp import collecting
from tests.kit.source_tree import ROOT
from tests.kit.trace_tree import tree, without_chance

if TYPE_CHECKING:
    import pytest

PAGE = ROOT / "docs" / "traces.md"


def block(heading: str) -> str:
    """The first block of text below a heading."""
    text = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    return text.partition("```text\n")[2].partition("```")[0]


async def test_the_trace_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    async with collecting() as collector, stage(more=collector.policy, retry="tries = 2") as s:
        await s.openai.switch(Fault(Kind.STATUS, status=500))
        await s.ask(GPT_FIRST, stream=True, extra_headers={"User-Agent": "app/1.0"})
        shown = tree(await collector.spans(4))
    assert without_chance(shown) == without_chance(block("What a trace looks like")), shown


def test_every_attribute_that_it_names_is_in_the_source() -> None:
    source = "".join(path.read_text() for path in (ROOT / "sidecar" / "telemetry").glob("*.py"))
    rows = re.findall(r"^\| `([a-z_.]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 30
    assert [name for name in rows if f'"{name}"' not in source] == []


def test_every_attribute_in_the_source_is_on_the_page() -> None:
    source = (ROOT / "sidecar" / "telemetry" / "conventions.py").read_text()
    said = set(
        re.findall(r'"((?:http|url|server|client|user_agent|network|rpc|gen_ai|error|sidecar)\.[a-z_.]+)"', source)
    )
    page = PAGE.read_text(encoding="utf-8")
    assert {name for name in said if f"`{name}`" not in page} == set()
