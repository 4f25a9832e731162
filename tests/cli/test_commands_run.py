"""`run` and `demo` as typed."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from sidecar.cli.app import app


@pytest.mark.parametrize("arguments", [["run", "--fast"], ["run", "x"], ["demo", "--seconds", "long"]])
def test_bad_usage(arguments: list[str]) -> None:
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 2
    assert "Usage: " in said.output


def test_help_says_how_it_ends() -> None:
    said = CliRunner().invoke(app, ["run", "--help"])
    assert said.exit_code == 0
    assert "SIGTERM drains, SIGHUP reloads." in said.output
    assert "$SIDECAR_CONFIG" in said.output
