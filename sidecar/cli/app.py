"""The commands, and what each takes. Their work is done in modules that are imported when it is asked for."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from sidecar import __version__

app = typer.Typer(
    name="sidecar",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[
    str | None,
    typer.Option("-c", "--config", metavar="FILE", help="The policy file; else $SIDECAR_CONFIG, else ./sidecar.toml."),
]


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


@app.command()
def run(config: ConfigFile = None) -> None:
    """Run the sidecar. SIGTERM drains, SIGHUP reloads."""
    from sidecar.cli.run import run as work

    raise typer.Exit(work(config))


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="End by itself after so many seconds.")] = None,
) -> None:
    """Run the sidecar between live traffic and services in trouble, and show what it does."""
    from sidecar.cli.demo import demo as work

    raise typer.Exit(work(seconds))


@app.command()
def check(file: Annotated[str | None, typer.Argument(help="The policy file.")] = None) -> None:
    """Print every mistake of a policy file at once (exit 2), else a summary."""
    from sidecar.cli.check import check as work

    raise typer.Exit(work(file))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the policy file."""
    from sidecar.cli.schema import schema as work

    raise typer.Exit(work())


def main() -> None:
    """The entry point. Ends with exit code 0, 1 (not well) or 2 (bad usage or configuration)."""
    # gRPC's C core writes to stderr in a form of its own whenever a server goes away ("Got goaway"); our log tells it
    # anyway. The core reads the variable when it is loaded, which is later: commands import what they need.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Names mean what they mean to HTTP, too: c-ares takes only the first address that a hosts file gives a name.
    os.environ.setdefault("GRPC_DNS_RESOLVER", "native")
    app()
