"""The command line's frame: its name, its panels, and the options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar import __version__
from sidecar.cli.output import on_terminal
from sidecar.cli.quick import QuickGroup

RUN = "Run"
FILE = "The policy file"
LIVE = "A running sidecar"
CALLS = "Calls to LLMs"
MORE = "More"
PANELS = (RUN, FILE, LIVE, CALLS, MORE)


class _Commands(QuickGroup):
    """In the order of the panels, whichever module was imported first."""

    def list_commands(self, _: object) -> list[str]:
        return sorted(self.commands, key=lambda name: PANELS.index(self._panel(name)))

    def _panel(self, name: str) -> str:
        return getattr(self.commands[name], "rich_help_panel", None) or MORE


app = typer.Typer(
    name="sidecar",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if on_terminal() else None,  # help is plain text where nobody looks
)

ConfigFile = Annotated[
    str | None,
    typer.Option("-c", "--config", metavar="FILE", help="The policy file; else $SIDECAR_CONFIG, else ./sidecar.toml."),
]
AdminUrl = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="URL",
        help="The admin listener, a URL, HOST:PORT or unix:/PATH; else $SIDECAR_ADMIN, $SIDECAR_LISTEN_ADMIN, "
        "http://127.0.0.1:7072.",
    ),
]
AdminToken = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help="The admin token; else $SIDECAR_ADMIN_TOKEN.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"sidecar {__version__}")
        raise typer.Exit


@app.callback()
def sidecar(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A localhost proxy that gives any application resilience without a change to its code."""
