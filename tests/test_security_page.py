"""`docs/security.md`: the tests that it names are there, its defaults are the settings' own, its figures are right."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from typing import Any

import pytest

from sidecar.settings import Settings
from sidecar.settings.upstreams import UpstreamSettings
from tests.kit import canaries
from tests.kit.commands import ROOT, shell

PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
NOTHING = {"off", "none", "nobody", "nowhere"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading."""
    table = re.search(r"^\|---.*\n((?:\|.*\n)+)", PAGE.split(f"## {heading}\n", 1)[1], re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


@cache
def defined_in(path: str) -> set[str]:
    """Names of the tests in a file."""
    found = ast.walk(ast.parse((ROOT / path).read_text()))
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("claim", "tests"), rows("Claims and their tests"), ids=lambda cell: cell[:40])
def test_each_claim_has_tests_that_are_there(claim: str, tests: str) -> None:
    named = NAMED.findall(tests)
    assert named, claim
    for path, name in named:
        assert (ROOT / path).is_file(), path
        assert not name or name in defined_in(path), f"{path} has no {name}"


def test_every_file_of_tests_that_is_named_elsewhere_is_there() -> None:
    assert [path for path, _ in NAMED.findall(PAGE) if not (ROOT / path).is_file()] == []


def _default(key: str) -> Any:
    place = key.split(".")
    if place[0] == "upstreams":
        found: Any = UpstreamSettings(url="http://127.0.0.1:1")
        place = place[2:]
    else:
        found = Settings()
    for name in place:
        found = getattr(found, name)
    return found


@pytest.mark.parametrize(("key", "told"), [(row[0].strip("`"), row[1]) for row in rows("Defaults")])
def test_a_default_is_what_the_page_says(key: str, told: str) -> None:
    default = _default(key)
    if told in NOTHING:
        assert not default
    elif told == "on":
        assert default is True
    else:
        assert str(default).removesuffix(".0") == told.strip("`")


def test_the_canaries_are_counted() -> None:
    figures = (len(canaries.CONFIGURED), len(canaries.SENT), len(canaries.ANSWERED))
    told = re.search(r"\((\d+) of the\s+policy file, (\d+) of callers, (\d+) of upstreams\)", PAGE)
    assert told is not None
    assert tuple(map(int, told.groups())) == figures


def test_dependencies_are_counted_and_extras_named() -> None:
    words = {12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen", 16: "sixteen", 17: "seventeen"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"{words[len(project['dependencies'])]} at run time" in PAGE
    extras = project["optional-dependencies"].keys() - {"dev"}
    for extra in extras:
        assert f"`{extra}`" in PAGE


async def test_an_audit_that_could_not_look_everything_up_fails() -> None:
    """Else it would say "no known vulnerabilities" of packages that nobody has looked up."""
    said = await shell(f"make --dry-run --always-make -C {ROOT} audit")
    assert "pip-audit --strict" in said
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = ",".join(sorted(project["optional-dependencies"].keys() - {"dev"}))
    assert f"'.[{extras}]'" in said
