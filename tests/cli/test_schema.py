"""`sidecar schema` prints JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sidecar.cli.schema import schema

if TYPE_CHECKING:
    import pytest


def test_it_prints_a_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema() == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(printed["properties"]) >= {"listen", "routes", "upstreams"}
