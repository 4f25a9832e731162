"""`sidecar circuits` and `sidecar reset [NAME]`: the circuit breakers of a running sidecar.

Listing ends with 0 even while one is open: it tells a state and judges nothing. One
target that is shut out while the next serves is what the sidecar is for; whether
calls can be served is what `health` answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sidecar.cli.admin_client import Admin
from sidecar.cli.output import lasting, print_json, print_line, print_table
from sidecar.cli.trouble import BAD_USAGE, Trouble

if TYPE_CHECKING:
    from sidecar.cli.admin_client import Document

PATH = "/circuit-breakers"
HEAD = ("name", "state", "recent failures", "failures", "calls", "opened at", "retry after")


def circuits(url: str | None, token: str | None, *, as_json: bool = False) -> int:
    """Exit code 0."""
    admin = Admin(url, token)
    answer = admin.get(PATH)
    if as_json:
        print_json(answer)
        return 0
    with admin.understood():
        rows = [
            (name, numbers["state"], numbers["recent_failures"], numbers["failure_count"], numbers["total_calls"],
             numbers.get("opened_at"), again(numbers))
            for name, numbers in answer.items()
        ]  # fmt: skip
    if rows:
        print_table(HEAD, rows)
    else:
        print_line("no circuit breakers: the policy file has no upstream with one")
    return 0


def again(numbers: Document) -> str | None:
    """When an open one may be tried again."""
    if numbers["state"] != "open":
        return None
    return lasting(numbers["retry_after"]) if "retry_after" in numbers else "until reset"


def reset(name: str | None, url: str | None, token: str | None, *, as_json: bool = False) -> int:
    """Exit code 0. A name that is none is `Trouble` with the nearest that are (2)."""
    admin = Admin(url, token)
    before = admin.get(PATH)
    if name is not None and name not in before:
        raise Trouble(f"there is no circuit breaker {name!r}{_nearest(name, list(before))}", BAD_USAGE)
    after: dict[str, Any] = {}
    for each in before if name is None else [name]:
        numbers = admin.find("POST", f"{PATH}/{quote(each, safe='')}/reset")
        if numbers is not None:  # else a reload has dropped it meanwhile, which is a reset, too
            after[each] = numbers
    if as_json:
        print_json(after)
        return 0
    with admin.understood():
        rows = [(each, before[each]["state"], numbers["state"]) for each, numbers in after.items()]
    if rows:
        print_table(("name", "was", "is"), rows)
    else:
        print_line("no circuit breaker to reset")
    return 0


def _nearest(name: str, known: list[str]) -> str:
    """Those of the same upstream first, then what looks alike, else what there is."""
    from difflib import get_close_matches

    family = [each for each in known if each.partition("/")[0] == name.partition("/")[0]]
    nearest = list(dict.fromkeys([*get_close_matches(name, family), *family, *get_close_matches(name, known)]))
    if nearest:
        return f"; near it: {_listed(nearest)}"
    return f"; there are {_listed(known)}" if known else ": there is none at all"


def _listed(names: list[str], most: int = 10) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
