"""What the README and the pages for users tell people to type, typed, and what they show, compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import typer.main

from sidecar.cli.app import app
from tests.kit.commands import ROOT
from tests.kit.transcript import blocks, terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.node import Node

SESSIONS = (
    "README.md",
    "docs/policy-file.md",
    "docs/behaviour.md",
    "docs/headers-and-errors.md",
    "docs/operations.md",
    "docs/beamline.md",
    "docs/commands.md",
)

PROGRAMS = "examples/llm-fallback"
ASKING = ("ask_openai.py", "ask_anthropic.py", "ask_openai.mjs", "ask_anthropic.mjs")


@pytest.mark.parametrize("page", SESSIONS)
@pytest.mark.timeout(120)
async def test_the_page_is_a_session_that_goes_as_it_says(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with terminal(tmp_path) as shell:
        shell.place("examples/beamline/decide_grpc.py", *(f"{PROGRAMS}/{name}" for name in ASKING))
        for block in blocks(ROOT / page):
            if "| node " in block.command:
                try:
                    node: Node = request.getfixturevalue("node")
                except pytest.skip.Exception:  # a machine without Node; the rest of the session does not need it
                    continue
                (tmp_path / PROGRAMS / "node_modules").symlink_to(node.modules)
            await shell.type(block)


def test_the_page_of_commands_shows_every_command() -> None:
    page = ROOT / "docs" / "commands.md"
    headings = re.findall(r"^### (\S+)$", page.read_text(), re.MULTILINE)
    typed = {name for block in blocks(page) for name in re.findall(r"\bsidecar ([a-z][a-z-]*)", block.command)}
    known = list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert sorted(headings) == sorted(known)
    assert [name for name in known if name not in typed] == []
