"""The command line's frame."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from sidecar import __version__
from sidecar.cli.app import app as whole
from sidecar.cli.program import CALLS, FILE, LIVE, MORE, RUN, app


def test_the_version() -> None:
    said = CliRunner().invoke(whole, ["--version"])
    assert (said.exit_code, said.stdout) == (0, f"sidecar {__version__}\n")


def test_without_a_command_there_is_help() -> None:
    said = CliRunner().invoke(whole, [])
    assert said.exit_code == 2
    assert "Usage: sidecar [OPTIONS] COMMAND" in said.output


def test_every_command_stands_in_a_panel_and_says_what_it_does() -> None:
    commands = app.registered_commands
    assert {command.rich_help_panel for command in commands} <= {RUN, FILE, LIVE, CALLS, MORE}
    for name, command in typer.main.get_command(whole).commands.items():  # type: ignore[attr-defined]
        assert command.help, name


def test_help_lists_the_commands_panel_by_panel() -> None:
    help_text = CliRunner().invoke(whole, ["--help"]).output
    places = [help_text.index(f"\n  {name} ") for name in ("run", "init", "status", "completion")]
    assert places == sorted(places)
