"""The names of attributes against the list that OpenTelemetry publishes beside its SDK."""

from __future__ import annotations

import re
from pathlib import Path

from opentelemetry.semconv import _incubating
from opentelemetry.semconv._incubating.attributes.gen_ai_attributes import GenAiOperationNameValues

from sidecar.telemetry.conventions import OPERATIONS
from tests.kit.source_tree import ROOT

LIST = Path(_incubating.__path__[0]) / "attributes"
ENTRY = re.compile(r'^[A-Z0-9_]+: Final = "([^"]+)"\n"""\n(Deprecated: .*)?', re.MULTILINE)
MOVED = "Deprecated: Moved to the [OpenTelemetry GenAI semantic conventions repository]"
"""So all names for generative AI are marked: they stay, and are listed elsewhere."""

NAME = re.compile(r'"((?:http|url|server|client|user_agent|network|rpc|gen_ai|error)\.[a-z_.]+)"')


def test_every_name_is_one_of_the_conventions_and_none_is_out_of_use() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(LIST.glob("*_attributes.py")))
    listed = dict(ENTRY.findall(text))
    said = set(NAME.findall((ROOT / "sidecar" / "telemetry" / "conventions.py").read_text(encoding="utf-8")))
    assert len(said) > 25
    assert said - listed.keys() == set()
    assert {name: listed[name] for name in said if listed[name] and not listed[name].startswith(MOVED)} == {}


def test_every_operation_is_one_of_the_conventions() -> None:
    assert set(OPERATIONS.values()) <= {one.value for one in GenAiOperationNameValues}
