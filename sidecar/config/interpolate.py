"""`${NAME}`, `${NAME:-default}` and `$${` in the strings of a policy file.

As in a shell, the default also stands for a variable that is set but empty. A
string that is exactly one reference becomes a `Reference`, which takes the type
of its key; anything longer stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sidecar.config.places import Place, Problem, nearest
from sidecar.settings import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOLLAR = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{[^}]*\}?")


@dataclass(slots=True)
class Interpolated:
    """A document with its variables put in; `hidden` are the places whose values came from the environment."""

    document: Any
    hidden: set[Place] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def interpolate(document: Any, environ: Mapping[str, str]) -> Interpolated:
    """A copy of the document; a string with a mistake stays as it was."""
    result = Interpolated(None)
    result.document = _value(document, (), environ, result)
    return result


def _value(value: Any, place: Place, environ: Mapping[str, str], result: Interpolated) -> Any:
    if isinstance(value, dict):
        return {key: _value(item, (*place, key), environ, result) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item, (*place, index), environ, result) for index, item in enumerate(value)]
    return _text(value, place, environ, result) if isinstance(value, str) and "${" in value else value


def _text(text: str, place: Place, environ: Mapping[str, str], result: Interpolated) -> str:
    problems = []

    def put_in(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if found[0] == "$${":
            return "${"
        if name is None:
            problems.append(
                Problem(
                    place, f"{found[0]} is not a reference", allowed="${NAME}, ${NAME:-default}, $${ for a literal ${"
                )
            )
            return ""
        result.hidden.add(place)
        if default is not None:
            return environ.get(name) or default
        if name not in environ:
            problems.append(Problem(place, f"the variable {name} is not set", nearest=nearest(name, environ)))
        return environ.get(name, "")

    whole = _DOLLAR.fullmatch(text)
    replaced = _DOLLAR.sub(put_in, text)
    result.problems += problems
    if problems:
        return text
    return Reference(replaced) if whole and whole["name"] else replaced
