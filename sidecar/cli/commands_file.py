"""The commands about policy files: what each takes."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.cli.program import FILE, MORE, AdminToken, AdminUrl, AsJson, ConfigFile, app
from sidecar.cli.quick import QuickCommand


@app.command(cls=QuickCommand, rich_help_panel=FILE)
def init(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Where to; else ./sidecar.toml. -: to stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a starter policy file, with comments. A file that is there stays as it is (exit 2)."""
    from sidecar.cli.init import init as work

    raise typer.Exit(work(file, force=force))


@app.command(rich_help_panel=FILE)
def check(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="The policy file; else $SIDECAR_CONFIG, else ./sidecar.toml.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Also tell how it differs from what runs; exit 1 if it does.")
    ] = False,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token: AdminToken = None,
) -> None:
    """Print every mistake of a policy file at once (exit 2), else a summary."""
    from sidecar.cli.check import check as work

    raise typer.Exit(work(file, as_json=as_json, live=live, admin=admin, token=token))


@app.command(rich_help_panel=FILE)
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The policy file as it is.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The policy file as it is to be.")],
    as_json: AsJson = False,
) -> None:
    """Print what differs between two policy files, and what a reload would make, keep, drop and reset.

    Exit 0 whether or not they differ, 2 when one of them has mistakes.
    """
    from sidecar.cli.diff import diff as work

    raise typer.Exit(work(old, new, as_json=as_json))


@app.command(rich_help_panel=FILE)
def explain(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method of HTTP, or GRPC.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="A path or a URL; of gRPC package.Service/Method.")],
    header: Annotated[
        list[str] | None,
        typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="A header of the call; may be repeated."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("-m", "--model", metavar="MODEL", help="The model that its body asks for.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print which route and chain a call would take, and each value that counts with the line it comes from.

    It goes by the file: nothing is sent, and no sidecar need run. Exit 1 when the call would be refused.
    """
    from sidecar.cli.explain import explain as work

    raise typer.Exit(work(method, url, headers=header or (), model=model, config=config, as_json=as_json))


@app.command(rich_help_panel=FILE)
def schema() -> None:
    """Print the JSON Schema of the policy file."""
    from sidecar.cli.schema import schema as work

    raise typer.Exit(work())


def _shells() -> list[str]:
    from sidecar.cli.completion_scripts import SCRIPTS

    return list(SCRIPTS)


@app.command(cls=QuickCommand, rich_help_panel=MORE)
def completion(
    shell: Annotated[
        str, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.", autocompletion=_shells)
    ],
) -> None:
    """Print what a shell needs to complete commands, options and files.

    bash, in ~/.bashrc: eval "$(sidecar completion bash)"

    zsh, in ~/.zshrc behind compinit: eval "$(sidecar completion zsh)"

    fish: sidecar completion fish > ~/.config/fish/completions/sidecar.fish

    PowerShell, in $PROFILE: sidecar completion powershell | Out-String | Invoke-Expression
    """
    from sidecar.cli.completion import script as work

    raise typer.Exit(work(shell))
