"""The published JSON Schema against every policy file that we show to anybody, and against broken ones."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

import jsonschema
import pytest

from sidecar.cli.init import starter
from sidecar.standins.demo_policy import POLICY
from tests.kit.commands import ROOT
from tests.test_docs import PAGES

if TYPE_CHECKING:
    from pathlib import Path

FILE = ROOT / "docs" / "sidecar.schema.json"
SCHEMA = json.loads(FILE.read_text())
CHECKER = jsonschema.Draft202012Validator(SCHEMA)
SHIPPED = [ROOT / "sidecar.toml", *sorted((ROOT / "examples").glob("*/sidecar.toml"))]
SHOWN = re.compile(r"^```toml\n(.*?)^```$|^cat > (\S+\.toml) <<'END'\n(.*?)^END$", re.MULTILINE | re.DOTALL)
WRONG = "wrong.toml"
"""What a page calls a file that is to be refused."""


def shown(*, wrong: bool) -> dict[str, str]:
    """The policy files that pages show, by where."""
    found = {}
    for page in PAGES:
        for at, match in enumerate(SHOWN.finditer(page.read_text())):
            fenced, name, typed = match.groups()
            if (name == WRONG) == wrong:
                found[f"{page.relative_to(ROOT)} {name or 'fence'} {at}"] = fenced or typed
    return found


def texts() -> dict[str, str]:
    """Every policy file that is ours, by name."""
    files = {str(path.relative_to(ROOT)): path.read_text() for path in SHIPPED}
    return {**files, "init": starter(), "demo": POLICY.template, **shown(wrong=False)}


def first_line(path: Path) -> str:
    return path.read_text().split("\n", 1)[0]


@pytest.mark.parametrize("name", texts())
def test_every_file_that_we_show_fits(name: str) -> None:
    CHECKER.validate(tomllib.loads(texts()[name]))


def test_pages_show_policy_files_and_one_that_is_wrong() -> None:
    assert len(shown(wrong=False)) >= 8
    assert len(shown(wrong=True)) == 1


@pytest.mark.parametrize("name", shown(wrong=True))
def test_a_file_that_a_page_calls_wrong_does_not_fit(name: str) -> None:
    assert not CHECKER.is_valid(tomllib.loads(shown(wrong=True)[name]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[upstreams.a]\nurll = "http://a"', "'urll' was unexpected"),
        ("[limits]\nmax_headers = true", "True is not valid"),
        ('[listen]\nhttp = ["127.0.0.1:1"]', "is not of type 'string'"),
        ('[limits]\ndrain = "3 parsecs"', "'3 parsecs' is not valid"),
        ('[limits]\nmax_held_bytes = "64MB of it"', "is not valid"),
        ('[upstreams.a]\nprotocol = "gopher"', "'gopher' is not valid"),
        ("[policies.default.retry]\ntries = 0", "0 is not valid"),
        ("[routes.r]\nchain = [1]", "[1] is not valid"),
        ("routes = []", "is not of type 'object'"),
    ],
)
def test_a_broken_file_does_not_fit(text: str, told: str) -> None:
    (error,) = CHECKER.iter_errors(tomllib.loads(text))
    assert told in error.message


def test_it_is_a_schema_that_needs_nothing_else() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert "$id" not in SCHEMA
    assert set(re.findall(r'"\$ref": "([^"]*/)', FILE.read_text())) == {"#/$defs/"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_editors_find_the_schema_by_the_first_line(path: Path) -> None:
    """A path from the file's own folder: https://taplo.tamasfe.dev/configuration/directives.html."""
    directive, named = first_line(path).split(" ")
    assert directive == "#:schema"
    assert (path.parent / named).resolve() == FILE
