"""The commands about policy files as typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.testing import CliRunner

from sidecar.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path


def test_check_takes_the_file_as_its_argument(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.toml"
    path.write_text("[routs]\n")
    said = CliRunner().invoke(app, ["check", str(path)])
    assert said.exit_code == 2
    assert said.stdout.startswith(f"{path}:1: routs: ")
    path.write_text("[limits]\n")
    said = CliRunner().invoke(app, ["check", str(path)])
    assert (said.exit_code, said.stdout.splitlines()[0]) == (0, f"{path}: fine")


def test_schema_takes_nothing() -> None:
    said = CliRunner().invoke(app, ["schema"])
    assert (said.exit_code, said.stdout[:1]) == (0, "{")
    assert CliRunner().invoke(app, ["schema", "x"]).exit_code == 2
