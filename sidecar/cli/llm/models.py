"""`sidecar models`: what may be asked for, and where it leads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sidecar.cli.llm.asking import Line
from sidecar.cli.llm.leads import leads_to
from sidecar.cli.llm.told import told
from sidecar.cli.output import print_json, print_table
from sidecar.cli.trouble import BAD_USAGE, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.cli.llm.asking import Wishes
    from sidecar.cli.llm.leads import Chain


def models(wishes: Wishes, *, as_json: bool, environ: Mapping[str, str] = os.environ) -> int:
    """Prints a table, or with `as_json` each entry with its chain. Raises `Trouble` where nothing is left to print."""
    line = Line(wishes, environ)
    leads = line.leads()
    if leads is not None and wishes.upstream is not None:
        leads.check(wishes.upstream)
    listed = line.listing()
    found = [
        {**entry, "chain": leads.chain(entry["id"], listed.route) if leads is not None else None}
        for entry in listed.entries
    ]
    if wishes.upstream is not None:
        found = [entry for entry in found if leads_to(entry["chain"], wishes.upstream)]
        if not found:
            raise Trouble(f"no model in {wishes.dialect}'s dialect leads to {wishes.upstream}", BAD_USAGE)
    if wishes.model is not None:
        names = [entry["id"] for entry in found]
        found = [entry for entry in found if entry["id"] == wishes.model]
        if not found:
            raise Trouble(f"there is no model {wishes.model}; there are: {', '.join(names) or 'none'}", BAD_USAGE)
    whose = "owner" if wishes.dialect == "openai" else "name"  # Anthropic's dialect does not tell whose a model is
    if as_json:
        print_json({"models": found, "sidecar": told(listed.heard.fields)})
    elif leads is None:
        print_table(["model", whose], [[entry["id"], _owner(entry)] for entry in found])
    else:
        head = ["model", whose, "leads to", "ready"]
        rows = [[one["id"], _owner(one), _way(one["chain"]), _ready(one["chain"])] for one in found]
        print_table(head, rows)
    return 0


def _owner(entry: Mapping[str, Any]) -> str | None:
    owner = entry.get("owned_by") or entry.get("display_name")
    return owner if isinstance(owner, str) else None


def _way(chain: Chain) -> str:
    return " → ".join(link["target"] for link in chain) or "nowhere"


def _ready(chain: Chain) -> str:
    """`yes`, `no`, or how many of the chain."""
    ready = sum(1 for link in chain if link["ready"])
    if ready == len(chain):
        return "yes" if chain else "no"
    return f"{ready} of {len(chain)}" if ready else "no"
