"""The commands about policy files as typed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer.main
from typer.testing import CliRunner

from sidecar.cli.app import app, main

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


def test_what_prints_a_text_of_ours_imports_nothing_that_takes_long() -> None:
    script = """
import sys
from sidecar.cli import main
for command in (["completion", "bash"], ["init", "-"], ["check", "--help"], ["explain", "--help"]):
    sys.argv = ["sidecar", *command]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, (command, end.code)
print("\\n".join(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert {"asyncio", "pydantic", "rich", "sidecar.config", "sidecar.settings"} & set(done.stdout.split()) == set()


def test_a_shell_that_is_none_is_told_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sidecar", "completion", "tcsh"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = "sidecar: 'tcsh' is no shell that can be told; there are bash, zsh, fish, powershell\n"
    assert capsys.readouterr() == ("", said)


def test_every_argument_is_called_as_the_texts_call_it() -> None:
    """`reset` spoke of NAME, and its usage of name."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for param in command.params:
            if param.param_type_name == "argument":
                assert param.metavar, (name, param.name)
