"""`run` and `demo`: what each takes. Their work is done in modules that are imported when it is asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.cli.program import RUN, ConfigFile, app


@app.command(rich_help_panel=RUN)
def run(config: ConfigFile = None) -> None:
    """Run the sidecar. SIGTERM drains, SIGHUP reloads."""
    from sidecar.cli.run import run as work

    raise typer.Exit(work(config))


@app.command(rich_help_panel=RUN)
def demo(
    seconds: Annotated[float | None, typer.Option(help="End by itself after so many seconds.")] = None,
) -> None:
    """Run the sidecar between live traffic and services in trouble, and show what it does."""
    from sidecar.cli.demo import demo as work

    raise typer.Exit(work(seconds))
