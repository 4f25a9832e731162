"""What the README and the pages for users tell people to type, typed, and what they show, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.commands import ROOT
from tests.kit.transcript import blocks, terminal

if TYPE_CHECKING:
    from pathlib import Path

SESSIONS = (
    "README.md",
    "docs/policy-file.md",
    "docs/behaviour.md",
    "docs/headers-and-errors.md",
    "docs/operations.md",
    "docs/beamline.md",
)


@pytest.mark.parametrize("page", SESSIONS)
async def test_the_page_is_a_session_that_goes_as_it_says(page: str, tmp_path: Path) -> None:
    async with terminal(tmp_path) as shell:
        shell.place("examples/beamline/decide_grpc.py")
        for block in blocks(ROOT / page):
            await shell.type(block)
