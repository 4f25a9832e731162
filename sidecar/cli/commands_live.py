"""The commands to a running sidecar: what each takes. They ask its admin listener."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.cli.program import LIVE, AdminToken, AdminUrl, AsJson, app
from sidecar.cli.quick import QuickCommand


@app.command(cls=QuickCommand, rich_help_panel=LIVE)
def status(admin: AdminUrl = None, token: AdminToken = None, as_json: AsJson = False) -> None:
    """Show what a running sidecar is doing. Exit 1 when it is unhealthy."""
    from sidecar.cli.status import status as work

    raise typer.Exit(work(admin, token, as_json=as_json))


@app.command(cls=QuickCommand, rich_help_panel=LIVE)
def health(
    everything: Annotated[bool, typer.Option("--all", help="Show every check and every upstream.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether it lives: for who would restart it. Needs no token.")
    ] = False,
    config: Annotated[
        str | None,
        typer.Option(
            "-c", "--config", metavar="FILE", help="With --live: a policy file whose listeners are asked, too."
        ),
    ] = None,
    admin: AdminUrl = None,
    token: AdminToken = None,
    as_json: AsJson = False,
) -> None:
    """Show whether it is well, and what is not. Exit 1 when it is unhealthy; degraded is 0."""
    from sidecar.cli import health as work

    if live:
        raise typer.Exit(work.live(admin, config, everything=everything, as_json=as_json))
    raise typer.Exit(work.health(admin, token, config, everything=everything, as_json=as_json))


@app.command(cls=QuickCommand, rich_help_panel=LIVE)
def circuits(admin: AdminUrl = None, token: AdminToken = None, as_json: AsJson = False) -> None:
    """List the circuit breakers. Exit 0, open ones or not: `health` tells whether it is well."""
    from sidecar.cli.circuits import circuits as work

    raise typer.Exit(work(admin, token, as_json=as_json))


@app.command(cls=QuickCommand, rich_help_panel=LIVE)
def reset(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A circuit breaker, as `circuits` names it.")
    ] = None,
    admin: AdminUrl = None,
    token: AdminToken = None,
    as_json: AsJson = False,
) -> None:
    """Close a circuit breaker and empty its window; without NAME, all of them."""
    from sidecar.cli.circuits import reset as work

    raise typer.Exit(work(name, admin, token, as_json=as_json))


@app.command(cls=QuickCommand, rich_help_panel=LIVE)
def reload(admin: AdminUrl = None, token: AdminToken = None, as_json: AsJson = False) -> None:
    """Read the policy file again. Mistakes change nothing: they are printed (exit 2)."""
    from sidecar.cli.reload import reload as work

    raise typer.Exit(work(admin, token, as_json=as_json))


@app.command(cls=QuickCommand, rich_help_panel=LIVE)
def log_level(
    level: Annotated[
        str,
        typer.Argument(
            metavar="LEVEL",
            help="debug, info, warning or error.",
            autocompletion=lambda: ["debug", "info", "warning", "error"],
        ),
    ],
    admin: AdminUrl = None,
    token: AdminToken = None,
    as_json: AsJson = False,
) -> None:
    """Change how much is logged, until the next start."""
    from sidecar.cli.log_level import log_level as work

    raise typer.Exit(work(level, admin, token, as_json=as_json))


@app.command(cls=QuickCommand, rich_help_panel=LIVE)
def trace(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="X-Sidecar-Request-ID or X-Correlation-ID.")],
    admin: AdminUrl = None,
    token: AdminToken = None,
    as_json: AsJson = False,
) -> None:
    """Show the timeline of a finished call. Exit 1 when it is not among the last 1,000."""
    from sidecar.cli.trace import trace as work

    raise typer.Exit(work(request_id, admin, token, as_json=as_json))
