"""From the policy file to `Settings`: found, read, and either right or refused with all its mistakes.

The steps: TOML → variables put in → files it names → what this version cannot
do → each value → values against each other. A value that one step refuses is
taken out, so that the next steps find the remaining mistakes in the same run.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sidecar.config.availability import unavailable
from sidecar.config.checks import Names, relations, unnameable
from sidecar.config.files import read, read_files
from sidecar.config.interpolate import interpolate
from sidecar.config.merged import merged
from sidecar.config.needs import missing
from sidecar.config.places import Place, Problem, dotted, line_of, remove, within
from sidecar.config.toml_lines import key_lines
from sidecar.config.view import view
from sidecar.config.words import UNKNOWN_KEY, problem
from sidecar.errors import ConfigError, Mistake
from sidecar.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

VARIABLE = "SIDECAR_CONFIG"
FILE = "sidecar.toml"

_ROUNDS = 20
"""Each round takes out what the one before refused; three are the most that a file of ours ever needed."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy file that is right."""

    settings: Settings
    text: str = field(repr=False)
    hash: str
    """SHA-256 of the file's bytes, in hex."""
    path: Path
    secrets: frozenset[Place] = frozenset()
    """Places whose values came from the environment or a secret's file: never shown."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that it names, secrets and certificates: their paths, and the SHA-256 of what they hold."""
    lines: Mapping[Place, int] = field(default_factory=dict, compare=False)
    """The line on which each place stands."""


def find(explicit: str | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """`-c`, else `$SIDECAR_CONFIG`, else `sidecar.toml` in `cwd` if it can be trusted; None when there is none.

    A file that lies in the working folder may be anyone's: it must belong to the
    user or root and nobody else may write to it. Raises `ConfigError`.
    """
    if explicit is not None:
        return Path(explicit)
    if named := environ.get(VARIABLE):
        return Path(named)
    path = cwd / FILE
    try:
        facts = [path.lstat(), path.stat()]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _about_file(path, f"cannot be looked at: {error.strerror}") from error
    if hasattr(os, "geteuid"):
        _trust(path, facts)
    return path


def _trust(path: Path, facts: Iterable[os.stat_result]) -> None:
    for found in facts:
        if found.st_uid not in {os.geteuid(), 0}:
            raise _about_file(path, "belongs to another user: name it with -c if you trust it")
        private_group = found.st_gid == found.st_uid  # the group of one user that many systems make
        others = stat.S_IWOTH if private_group else stat.S_IWOTH | stat.S_IWGRP
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & others:
            raise _about_file(path, f"others may write to it: chmod go-w {path}, or name it with -c if you trust it")


def load(path: Path, environ: Mapping[str, str], *, pipes: bool = True) -> Loaded:
    """The settings of a policy file. Raises `ConfigError` with all mistakes, by line.

    `pipes`: what `<(…)` of a shell gives is waited for; it can be read once.
    """
    try:
        content = read(path, pipes=pipes)
    except OSError as error:
        unreadable = _about_file(path, f"cannot be read: {error.strerror}")
        unreadable.text = ""
        raise unreadable from error
    found = hashlib.sha256(content).hexdigest()
    try:
        return _loaded(path, content, found, environ)
    except ConfigError as error:
        error.text = found
        raise


def _loaded(path: Path, content: bytes, found: str, environ: Mapping[str, str]) -> Loaded:
    try:
        text = content.decode("utf-8-sig")  # editors on Windows begin it with a byte order mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _about_file(path, "is not UTF-8", line) from error
    document, lines = _parse(path, text)

    variables = interpolate(document, environ)
    document = variables.document
    names = _names(document)
    taken_out = [remove(document, found.place) for found in variables.problems]
    files = read_files(document, path.absolute().parent)
    taken_out += [found.place for found in files.problems]
    not_yet = list(unavailable(document))
    problems = [*variables.problems, *files.problems, *_not_under(not_yet), *missing(document), *unnameable(names)]
    settings, wrong, refused = _validate(document)
    wrong = [_without_value(one, variables.hidden | files.hidden) for one in wrong]
    taken_out += refused
    problems += _not_said(wrong, [found.place for found in not_yet], taken_out=())
    related = [*relations(settings, names), *merged(settings)]
    problems += _not_said(related, [found.place for found in not_yet], taken_out)
    if problems:
        raise ConfigError(_mistakes(path, problems, lines), files=files.digests)
    return Loaded(
        settings=settings,
        text=text,
        hash=found,
        path=path,
        secrets=frozenset(variables.hidden | files.hidden),
        files=files.digests,
        lines=lines,
    )


def redacted(loaded: Loaded) -> dict[str, Any]:
    """The effective configuration for people: what came from `${…}` or a file, or is secret by its name, is `***`."""
    return view(loaded.settings, loaded.secrets)


def _parse(path: Path, text: str) -> tuple[dict[str, Any], dict[Place, int]]:
    try:
        document = tomllib.loads(text)
        return document, key_lines(text)
    except tomllib.TOMLDecodeError as error:
        said = re.fullmatch(r"(.*?) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
        reason, line = (said[1], said[2]) if said else (str(error), None)
        last = text.rstrip().count("\n") + 1
        raise _about_file(path, f"is not TOML: {reason}", int(line or last)) from None
    except RecursionError:
        raise _about_file(path, "is nested too deeply") from None


def _names(document: dict[str, Any]) -> Names:
    sections = ("policies", "upstreams", "routes", "static", "models", "faults")
    tables = {section: document.get(section, {}) for section in sections}
    return {section: frozenset(table) if isinstance(table, dict) else frozenset() for section, table in tables.items()}


def _validate(document: dict[str, Any]) -> tuple[Settings, list[Problem], list[Place]]:
    """The settings without what is wrong, what that is, and what was taken out: a misspelt key by both names."""
    found: list[Problem] = []
    taken_out: list[Place] = []
    for round_ in range(_ROUNDS):
        try:
            return Settings.model_validate(document), found, taken_out
        except ValidationError as error:
            problems = [problem(detail) for detail in error.errors(include_url=False)]
            if round_ == 0:
                found = problems
            taken_out += [remove(document, one.place) for one in problems]
            taken_out += [(*one.place[:-1], one.nearest) for one in problems if one.problem == UNKNOWN_KEY]
    return Settings(), found, [()]


def _not_under(problems: Iterable[Problem]) -> list[Problem]:
    """Without those that stand below another: `[redis]` says it once for all its keys."""
    everything = list(problems)
    places = {one.place for one in everything}
    return [one for one in everything if not any(one.place[:depth] in places for depth in range(1, len(one.place)))]


def _not_said(problems: Iterable[Problem], said: Iterable[Place], taken_out: Iterable[Place]) -> list[Problem]:
    """Without what follows from a mistake that has been told: below it, or where something was taken out."""
    said, taken_out = list(said), list(taken_out)

    def stands(place: Place) -> bool:
        lost = any(within(place, gone) or within(gone, place) for gone in taken_out)
        return not lost and not any(within(place, known) for known in said)

    return [one for one in problems if all(map(stands, filter(None, (one.place, one.other, *one.follows))))]


def _without_value(problem: Problem, hidden: Collection[Place]) -> Problem:
    """What came from `${…}` or a file may be a secret: neither what was probably meant repeats it nor what is wrong."""
    if problem.place not in hidden:
        return problem
    meant = problem.nearest if problem.nearest in problem.allowed.split(", ") else ""
    return replace(problem, problem=problem.problem.partition(":")[0], nearest=meant)


def _mistakes(path: Path, problems: Iterable[Problem], lines: dict[Place, int]) -> list[Mistake]:
    every = {
        Mistake(str(path), line_of(one.place, lines), dotted(one.place), one.problem, one.allowed, one.nearest)
        for one in problems
    }
    return sorted(every, key=lambda mistake: (mistake.line, mistake.key, mistake.problem))


def _about_file(path: Path, text: str, line: int = 0) -> ConfigError:
    return ConfigError([Mistake(str(path), line, "", text)])
