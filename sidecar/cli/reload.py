"""`sidecar reload`: have the policy file read again, and see what that changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sidecar.cli.admin_client import Admin
from sidecar.cli.mistakes import tell
from sidecar.cli.output import aligned, harmless, print_json, print_line, shortened
from sidecar.cli.trouble import BAD_USAGE
from sidecar.cli.turnover import begun_anew, by_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.cli.admin_client import Document
    from sidecar.errors import Mistake


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
    yield f"generation {answer['generation']}, hash {shortened(answer['hash'])}"
    parts = {how: [each.partition(" ")[::2] for each in answer[how]] for how in ("reset", "made", "dropped", "kept")}
    moved, later = answer.get("moved", {}), answer.get("next_start", [])
    rows = [("reset", text) for text in begun_anew(parts.pop("reset"))]
    rows += [(how, text) for how, named in parts.items() for text in by_kind(named)]
    rows += [("moved", f"{name} to {address}" if address else f"{name} is off") for name, address in moved.items()]
    if not later and all(how == "kept" for how, _ in rows):
        rows = [("kept", "everything: no breaker, limit or connection to an upstream began anew")]
    if later:
        rows.append(("left", f"{', '.join(later)} to the next start"))
    yield from (f"  {line}" for line in aligned([(how, harmless(text)) for how, text in rows]))
