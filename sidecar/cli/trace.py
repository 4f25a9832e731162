"""`sidecar trace ID`: the timeline of a finished call, each step where it stood in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sidecar.cli.admin_client import Admin
from sidecar.cli.output import lasting, print_json, print_line, print_table
from sidecar.cli.trouble import NOT_WELL, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.cli.admin_client import Document

WIDTH = 30
"""Characters of a bar that lasts the whole call."""

MARKS = {"attempt": "#", "wait": ".", "skip": "|"}
HEAD = ("at", "lasted", "0" + "-" * (WIDTH - 2) + ">", "step", "target", "outcome", "why")


def trace(request_id: str, url: str | None, token: str | None, *, as_json: bool = False) -> int:
    """Exit code 0 when the call is remembered, however it ended; one that is not is `Trouble` (1)."""
    admin = Admin(url, token)
    # A shell may hand over bytes that are no UTF-8: they are sent as they are.
    path = f"/requests/{quote(request_id, safe='', errors='surrogateescape')}"
    call = admin.find("GET", path) if request_id else None  # a script may have found none
    if call is None:
        raise Trouble(f"no call {request_id!r} among the last ones (1,000 are kept)", NOT_WELL)
    with admin.understood():
        if as_json:
            print_json(call)
            return 0
        lines, rows = list(_head(call)), [_row(step, call["seconds"]) for step in call["steps"]]
    for line in lines:
        print_line(line)
    if rows:
        print_line()
        print_table(HEAD, rows)
    else:
        print_line("no target was tried")
    return 0


def _head(call: Document) -> Iterator[str]:
    answered = call["grpc_code"] if "grpc_code" in call else call["status_code"]
    attempts = call["attempts"]
    upstream = f", upstream {call['upstream']}" if call["upstream"] else ""
    yield (
        f"{call['method']} {call['path']} → {answered}, route {call['route'] or '-'}{upstream}, "
        f"{attempts} attempt{'s' * (attempts != 1)}, {lasting(call['seconds'])}"
    )
    told = [call["outcome"], f"began {call['started']}"]
    told += [f"first byte after {lasting(call['ttfb'])}"] if call["ttfb"] else []
    told += [f"{lasting(call['waited'])} of waiting"] if call["waited"] else []
    yield "; ".join([*told, f"configuration {call['generation']}"])
    yield f"request {call['request_id']}, correlation {call['correlation_id']}"


def _row(step: Document, total: float) -> tuple[Any, ...]:
    told = step.get("grpc_code") or step.get("status_code")
    outcome = f"{step['outcome']} ({told})" if told else step["outcome"]
    where = bar(step["at"], step["seconds"], total, MARKS.get(step["kind"], "#"))
    at, lasted, why = lasting(step["at"]), lasting(step["seconds"]), step.get("why", "")
    return at, lasted, where, step["kind"], step["target"], outcome, why


def bar(at: float, seconds: float, total: float, mark: str, width: int = WIDTH) -> str:
    """`width` characters that stand for the whole call: blank, then `mark` where the step was, at least one."""
    if total <= 0:
        return mark.ljust(width)
    first = min(int(min(at, total) / total * width), width - 1)
    last = max(first + 1, round(min(at + seconds, total) / total * width))
    return (" " * first + mark * (last - first)).ljust(width)
