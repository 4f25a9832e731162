"""`sidecar send TEXT`: one question, its answer on stdout."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sidecar.cli.llm.asking import Line
from sidecar.cli.llm.conversation import user
from sidecar.cli.llm.plain import write
from sidecar.cli.llm.said import how_it_ended
from sidecar.cli.llm.told import told, usage_document, why
from sidecar.cli.output import harmless, print_json
from sidecar.cli.trouble import BAD_USAGE, NOT_WELL, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.cli.llm.answers import Answer
    from sidecar.cli.llm.asking import Wishes


def send(text: str | None, wishes: Wishes, *, as_json: bool, environ: Mapping[str, str] = os.environ) -> int:
    """Prints the answer's text as it comes, or with `as_json` all that is known of it at its end. `text`: `-`, or None
    where nobody types: stdin. Raises `Trouble` for what is wrong with the answer, behind what came of it.
    """
    asked = _text(text)
    line = Line(wishes, environ)
    model = line.model(wishes.model)
    answer, coming = line.ask(model, [user(asked)], stream=wishes.stream)
    last = ""
    try:
        with closing(coming) as pieces:
            for piece in pieces:
                if not as_json:
                    write(piece)
                    last = piece or last
    finally:  # Ctrl-C as well
        if last and not last.endswith("\n"):
            write("\n")
    if as_json:
        print_json(document(answer))
    line.tell_cost(answer)
    if answer.error is not None:
        raise Trouble(why(answer), NOT_WELL)
    if how := how_it_ended(answer.text, answer.reason):
        print(harmless(f"sidecar: the answer is {how} ({answer.reason or 'no reason told'})"), file=sys.stderr)
    return 0


def document(answer: Answer) -> dict[str, Any]:
    """An answer whole: what it says, what the sidecar told of it, what it cost in seconds and tokens."""
    found: dict[str, Any] = {
        "status": answer.status,
        "text": answer.text,
        "model": answer.model or None,
        "reason": answer.reason or None,
        "usage": usage_document(answer.usage),
        "seconds": {"first_byte": round(answer.first_byte, 6), "total": round(answer.total, 6)},
        "sidecar": told(answer.fields),
    }
    if answer.error is not None:
        error = answer.error
        found["error"] = {"status": error.status or None, "type": error.type or None, "code": error.code or None}
        found["error"]["message"] = error.message
    if answer.events is not None:
        found["events"] = answer.events
    else:
        found["answer"] = answer.document
    return found


def _text(text: str | None) -> str:
    if text == "-" or (text is None and not sys.stdin.isatty()):
        try:
            text = sys.stdin.read().removesuffix("\n")
        except UnicodeDecodeError:
            raise Trouble("stdin is no UTF-8 text", BAD_USAGE) from None
    if not text or text.isspace():
        raise Trouble("there is nothing to send: sidecar send TEXT, or the text on stdin", BAD_USAGE)
    return text
