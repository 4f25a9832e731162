"""`sidecar reload`: have the policy file read again, and see what that changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from sidecar.cli.admin_client import Admin
from sidecar.cli.mistakes import tell
from sidecar.cli.output import aligned, harmless, print_json, print_line
from sidecar.cli.trouble import BAD_USAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.cli.admin_client import Document
    from sidecar.errors import Mistake

SHORT = 12
"""Digits of a hash that are enough to know it again."""


def reload(url: str | None, token: str | None, *, as_json: bool = False) -> int:
    """Exit code 0 when the file was taken; 2 when it was refused, and all its mistakes are printed."""
    admin = Admin(url, token)
    status, answer = admin.ask("POST", "/reload", fine={200, 422})
    refused = status == 422
    if as_json:
        print_json(answer)
        return BAD_USAGE if refused else 0
    with admin.understood():
        mistakes = _mistakes(answer) if refused else []
        lines = [] if refused else list(_changes(answer))
    if refused:
        code = tell(mistakes, {}, as_json=False)
        print("nothing has changed: what ran before goes on", file=sys.stderr)
        return code
    for line in lines:
        print_line(line)
    return 0


def _mistakes(answer: Document) -> list[Mistake]:
    """As `sidecar check` finds them."""
    from sidecar.errors import Mistake

    return [Mistake(**mistake) for mistake in answer["mistakes"]]


def _changes(answer: Document) -> Iterator[str]:
    yield f"generation {answer['generation']}, hash {answer['hash'][:SHORT]}"
    told = {kind: said for kind, said in answer.items() if kind not in {"generation", "hash"}}
    yield from aligned([(kind, harmless(_said(said))) for kind, said in told.items()]) if told else []


def _said(said: Any) -> str:
    if not isinstance(said, list):
        return str(said)
    return f"{len(said)}: {', '.join(str(each).strip() for each in said)}" if said else "nothing"
