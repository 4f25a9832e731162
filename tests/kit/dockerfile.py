"""A Dockerfile, read: its instructions with their flags, and what a `.dockerignore` lets through.

Of the language (docs.docker.com, "Dockerfile reference") what ours speaks: parser comments, lines that go on, shell and
exec forms, `$NAME`, `${NAME}` and `${NAME:-default}`. Anything else is an error, so that a test says what it cannot do.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KNOWN = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL",
    "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
_FLAG = re.compile(r"--([a-z-]+)=(\S+)\s+")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


@dataclass(frozen=True)
class Instruction:
    """`rest` is what stands behind the flags, as written; `line` where it begins. A flag that comes twice has both
    values, with a blank between them.
    """

    name: str
    rest: str
    line: int
    flags: Mapping[str, str] = field(default_factory=dict)

    @property
    def listed(self) -> list[str] | None:
        """The exec form's words; None for the shell form."""
        if not self.rest.startswith("["):
            return None
        words: list[str] = json.loads(self.rest)
        return words

    def words(self, variables: Mapping[str, str]) -> list[str]:
        """The words with their variables filled in; quotes keep one together."""
        return [expanded(word, variables) for word in shlex.split(self.rest)]

    def pairs(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Of `NAME=VALUE …`."""
        return dict(word.split("=", 1) for word in self.words(variables))


def instructions(text: str) -> Iterator[Instruction]:
    """In order. Raises `ValueError`: an instruction that is not known."""
    whole, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not whole):
            continue
        began = began if whole else number
        whole += line.rstrip()
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        name, _, rest = whole.strip().partition(" ")
        if name not in KNOWN:
            raise ValueError(f"line {began}: {name} is no instruction")
        rest = rest.lstrip()
        flags: dict[str, str] = {}
        while flag := _FLAG.match(rest):
            flags[flag[1]] = " ".join(filter(None, (flags.get(flag[1]), flag[2])))
            rest = rest[flag.end() :]
        yield Instruction(name, rest, began, flags)
        whole = ""


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """With the variables' values; one that nobody set is empty, or its default."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[3]) or found[2] or "", text)


def sent(context: Path) -> list[Path]:
    """The files of the build context that its `.dockerignore` lets through, relative to it.

    The last rule that matches decides. A folder that is left out is not looked into: rules let in whole names only.
    """
    rules = [
        (line.startswith("!"), re.compile(_pattern(line.removeprefix("!"))))
        for line in (context / ".dockerignore").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]

    def let_in(path: Path) -> bool:
        decides = [
            lets for lets, pattern in rules if any(pattern.fullmatch(str(part)) for part in (path, *path.parents))
        ]
        return not decides or decides[-1]

    found = []
    for folder, folders, names in os.walk(context):
        here = Path(folder).relative_to(context)
        folders[:] = [name for name in folders if let_in(here / name)]
        found += [here / name for name in names if let_in(here / name)]
    return sorted(found)


def _pattern(rule: str) -> str:
    """As a regular expression: `**` stands for any folders, `*` and `?` stay within a name."""
    text = re.escape(rule.rstrip("/")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return text.replace(r"\[", "[").replace(r"\]", "]")
