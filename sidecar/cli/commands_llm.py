"""`models`, `send`, `chat`: calls to LLMs through a running sidecar, and what each takes."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.cli.program import CALLS, AdminToken, AsJson, app
from sidecar.cli.quick import QuickCommand


def _dialects() -> list[str]:
    """For completion. A type of its own would have typer load pydantic, which is a third of the start."""
    return ["openai", "anthropic"]


Model = Annotated[
    str | None,
    typer.Option("-m", "--model", metavar="MODEL", help="Which model to ask for; else the first that there is."),
]
Spoken = Annotated[
    str,
    typer.Option("-p", "--dialect", metavar="openai|anthropic", autocompletion=_dialects, help="Whose API to speak."),
]
Upstream = Annotated[
    str | None,
    typer.Option("-u", "--upstream", metavar="UPSTREAM", help="Only models that lead to this upstream."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "-k",
        "--key",
        metavar="KEY",
        help="For a provider to which the sidecar has no key; else $OPENAI_API_KEY or $ANTHROPIC_API_KEY.",
    ),
]
Admin = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="URL",
        help="The admin listener, which tells where calls go; else $SIDECAR_HTTP does, else that of $SIDECAR_ADMIN, "
        "$SIDECAR_LISTEN_ADMIN, http://127.0.0.1:7072.",
    ),
]
NoRetry = Annotated[bool, typer.Option("--no-retry", help="Try no target twice.")]
NoFallback = Annotated[bool, typer.Option("--no-fallback", help="Try the first target only.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Tell what was asked, who answered, and how long it took.")
]


@app.command(cls=QuickCommand, rich_help_panel=CALLS)
def models(
    model: Annotated[str | None, typer.Option("-m", "--model", metavar="MODEL", help="Only this one.")] = None,
    dialect: Spoken = "openai",
    upstream: Upstream = None,
    key: Key = None,
    no_retry: NoRetry = False,
    no_fallback: NoFallback = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
    admin: Admin = None,
    token: AdminToken = None,
) -> None:
    """List the models that may be asked for, and where each leads.

    $SIDECAR_HTTP_TOKEN is sent along where it is set.
    """
    from sidecar.cli.llm.asking import Wishes
    from sidecar.cli.llm.models import models as work

    wishes = Wishes(model, dialect, upstream, key, False, not no_retry, not no_fallback, verbose, admin, token)
    raise typer.Exit(work(wishes, as_json=as_json))


@app.command(cls=QuickCommand, rich_help_panel=CALLS)
def send(
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="The question; - or none: stdin.")] = None,
    model: Model = None,
    dialect: Spoken = "openai",
    upstream: Upstream = None,
    key: Key = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print the answer as it comes.")] = False,
    no_retry: NoRetry = False,
    no_fallback: NoFallback = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
    admin: Admin = None,
    token: AdminToken = None,
) -> None:
    """Ask an LLM one question, and print its answer.

    Without -m the first model of the policy file is asked, else the first that the sidecar lists.
    $SIDECAR_HTTP_TOKEN is sent along where it is set.
    """
    from sidecar.cli.llm.asking import Wishes
    from sidecar.cli.llm.send import send as work

    wishes = Wishes(model, dialect, upstream, key, stream, not no_retry, not no_fallback, verbose, admin, token)
    raise typer.Exit(work(text, wishes, as_json=as_json))


@app.command(cls=QuickCommand, rich_help_panel=CALLS)
def chat(
    model: Model = None,
    dialect: Spoken = "openai",
    upstream: Upstream = None,
    key: Key = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Print each answer as it comes, or when it is whole.")
    ] = True,
    no_retry: NoRetry = False,
    no_fallback: NoFallback = False,
    verbose: Verbose = False,
    admin: Admin = None,
    token: AdminToken = None,
) -> None:
    """Talk with an LLM; each answer tells who gave it, and after how many attempts.

    On a terminal /help tells what else may be typed; elsewhere each line of stdin is a turn.
    $SIDECAR_HTTP_TOKEN is sent along where it is set.
    """
    from sidecar.cli.llm.asking import Wishes
    from sidecar.cli.llm.chat import chat as work

    wishes = Wishes(model, dialect, upstream, key, stream, not no_retry, not no_fallback, verbose, admin, token)
    raise typer.Exit(work(wishes))
