"""Documents that stay true: their links lead somewhere, their commands exist, their examples load.

What a document tells people to type is run where it belongs: the README's two make
commands by CI, its session and those of the pages for users by `test_pages.py`, each
example's by `test_examples.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.kit.commands import ROOT, SIDECAR, shell

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
    if "node_modules" not in page.parts  # the README has one built in an example; what is in it is not ours
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SIDECAR_COMMAND = re.compile(r"(?:`|^|bin/)sidecar ([a-z][a-z-]*)", re.MULTILINE)
MAKE = re.compile(r"(?:`|^)make ([a-z]+)", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Every heading's anchor, as GitHub makes it."""
    headings = HEADING.findall(CODE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_make_command_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(MAKE.findall(page.read_text())) <= targets


async def test_every_sidecar_command_exists() -> None:
    known = await shell(f"{SIDECAR} --help")
    asked = {command for page in PAGES for command in SIDECAR_COMMAND.findall(page.read_text())}
    assert [command for command in sorted(asked) if not re.search(rf"\b{command}\b", known)] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_lines_are_readable_without_a_renderer(page: Path) -> None:
    """Prose is wrapped; tables and code may be as wide as they are."""
    prose = CODE.sub("", page.read_text()).splitlines()
    assert [line for line in prose if len(line) > 120 and not line.startswith("|") and "](" not in line] == []


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"]({page.name})" not in index]
    assert missing == ["README.md"]


def test_every_file_that_the_design_names_is_there() -> None:
    text = (ROOT / "docs" / "design.md").read_text()
    named = {name for name in re.findall(r"`([\w/]+(?:/|\.py))`", text) if "." in name or name.endswith("/")}
    gone = [name for name in named if not (ROOT / "sidecar" / name).exists() and not (ROOT / name).exists()]
    assert gone == []
