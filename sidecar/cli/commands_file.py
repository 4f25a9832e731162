"""The commands about policy files: what each takes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sidecar.cli.program import FILE, MORE, app


@app.command(rich_help_panel=FILE)
def init(
    file: Annotated[str | None, typer.Argument(help="Where to; else ./sidecar.toml. -: to stdout.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a starter policy file, with comments."""
    from sidecar.cli.init import init as work

    raise typer.Exit(work(file, force=force))


@app.command(rich_help_panel=FILE)
def check(file: Annotated[str | None, typer.Argument(help="The policy file.")] = None) -> None:
    """Print every mistake of a policy file at once (exit 2), else a summary."""
    from sidecar.cli.check import check as work

    raise typer.Exit(work(file))


@app.command(rich_help_panel=FILE)
def schema() -> None:
    """Print the JSON Schema of the policy file."""
    from sidecar.cli.schema import schema as work

    raise typer.Exit(work())


class Shell(StrEnum):
    """The shells that can be told how to complete."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"


@app.command(rich_help_panel=MORE)
def completion(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")]) -> None:
    """Print what a shell needs to complete commands, options and files. For bash: eval "$(sidecar completion bash)"."""
    from sidecar.cli.completion import script as work

    raise typer.Exit(work(shell))
