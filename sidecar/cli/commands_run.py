"""`run`, `exec` and `demo`: what each takes. Their work is done in modules that are imported when it is asked for."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from sidecar.cli.program import RUN, ConfigFile, app


@app.command(rich_help_panel=RUN)
def run(config: ConfigFile = None) -> None:
    """Run the sidecar. SIGTERM drains, SIGHUP reloads."""
    from sidecar.cli.run import run as work

    raise typer.Exit(work(config))


@app.command("exec", rich_help_panel=RUN, context_settings={"allow_interspersed_args": False})
def execute(
    context: typer.Context,
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The program and its own arguments, as they stand.")
    ],
    config: Annotated[
        str | None,
        typer.Option(
            "-c",
            "--config",
            metavar="FILE",
            help="The policy file; else $SIDECAR_CONFIG; else providers by which keys are set.",
        ),
    ] = None,
) -> None:
    """Run a program beside a sidecar of its own, on free ports, and end with its exit code.

    It finds OPENAI_BASE_URL, ANTHROPIC_BASE_URL, SIDECAR_HTTP, SIDECAR_GRPC and SIDECAR_ADMIN in its environment.
    Signals are passed on. The log goes to stderr.
    """
    from sidecar.cli.exec.execute import execute as work

    raise typer.Exit(work(config, command, context.obj or os.environ))


@app.command(rich_help_panel=RUN)
def demo(
    seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0, help="End by itself after so many seconds.")
    ] = None,
) -> None:
    """Run the sidecar between live traffic and services in trouble, and show what it does."""
    from sidecar.cli.demo import demo as work

    raise typer.Exit(work(seconds))
