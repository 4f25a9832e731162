"""Commands whose arguments are taken as they were typed, beside the way typer would take them."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from sidecar.cli.quick import QuickCommand, QuickGroup


def made(*, quick: bool) -> typer.Typer:
    app = typer.Typer(cls=QuickGroup) if quick else typer.Typer()

    @app.command(cls=QuickCommand if quick else None)
    def one(
        word: Annotated[str, typer.Argument()],
        other: Annotated[str | None, typer.Argument()] = None,
        text: Annotated[str | None, typer.Option()] = None,
        usual: Annotated[str, typer.Option()] = "u",
        flag: Annotated[bool, typer.Option("--flag")] = False,
        number: Annotated[int, typer.Option(min=1)] = 3,
        many: Annotated[list[str] | None, typer.Option()] = None,
    ) -> None:
        typer.echo(repr((word, other, text, usual, flag, number, many)))

    @app.command()
    def two() -> None:
        typer.echo("two")

    return app


@pytest.mark.parametrize(
    "arguments",
    [
        "one a", "one a b", "one a --text t --usual ü", "one a --flag", "one a --number 7 --many x --many y",
        "one a --number 0", "one a --number x", "one", "one a b c", "one a --text", "one a --fast", "two", "",
        "--help", "one --help", "one a --flag=yes",
    ],
)  # fmt: skip
def test_it_is_the_same_to_see(arguments: str) -> None:
    quick, usual = (CliRunner().invoke(made(quick=each), arguments.split()) for each in (True, False))
    assert (quick.exit_code, quick.output) == (usual.exit_code, usual.output)
