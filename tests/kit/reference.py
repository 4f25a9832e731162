"""The pages that are written by machine: `make reference` writes them, `tests/test_reference_pages.py` compares.

docs/sidecar.schema.json       what `sidecar schema` prints
docs/reference-policy-file.md  every table and key of the policy file, from that schema
docs/reference-commands.md     every command, from the command line itself
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from sidecar.cli.schema import schema
from tests.kit.commands import ROOT
from tests.kit.reference_commands import commands_page
from tests.kit.reference_policy import policy_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def schema_file() -> str:
    """As printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        schema()
    return printed.getvalue()


WRITTEN: Mapping[str, Callable[[], str]] = {
    "docs/sidecar.schema.json": schema_file,
    "docs/reference-policy-file.md": policy_page,
    "docs/reference-commands.md": commands_page,
}
"""What writes each file."""


if __name__ == "__main__":
    for name, text in WRITTEN.items():
        (ROOT / name).write_text(text(), encoding="utf-8")
