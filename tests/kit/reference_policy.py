"""Writes docs/reference-policy-file.md: every table and key, from the JSON Schema of the policy file."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sidecar.config.availability import NOT_YET, unavailable
from sidecar.settings.json_schema import json_schema
from sidecar.settings.values import DURATION, SIZE
from sidecar.settings.written import toml

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """\
# sidecar.toml

Written by `make reference` from the settings themselves: do not edit this page. What the keys mean together is told in
[The policy file](policy-file.md).

## NAME

`sidecar.toml` - the policy file of `sidecar run`: where callers come in, which calls go where, and what is done when
something fails.

## SYNOPSIS

The file is named with `-c`, else by `$SIDECAR_CONFIG`, else it is `./sidecar.toml`, which must belong to you or root
and be writable by nobody else. It is TOML. Unknown keys are mistakes.

## VALUES

*Durations* are `"250ms"`, `"1.5s"`, `"2m"`, `"1h"`, or seconds as a number; `"0s"` switches a time off. *Sizes* are
`"64KiB"`, `"1MiB"`, `"500KB"`, or bytes as a number. *Secrets* may be `{ file = "/run/secrets/x" }`. Any value that is
no table may be `"${NAME}"` or `"${NAME:-default}"`, and any string may hold one. A default is that of the table's own
kind; where protocols have another, it stands at the end of the key's description.

## TABLES
"""
NAMED = "NAME"
"""What stands for a name that the user chooses."""


@dataclass
class Section:
    """One kind of table, and every place where it may stand."""

    table: dict[str, Any]
    places: list[tuple[str, ...]] = field(default_factory=list)
    repeated: bool = False


class PolicyPage:
    """The page, in the order in which the tables are met."""

    def __init__(self) -> None:
        self._schema = json_schema()
        self._sections: dict[str, Section] = {}
        self._walk((), self._schema)

    def text(self) -> str:
        return HEAD + "".join(f"\n{self._section(section)}" for section in self._sections.values())

    def _walk(self, place: tuple[str, ...], table: dict[str, Any]) -> None:
        for key, value in table["properties"].items():
            for name, below, repeated in _tables(value, (*place, key)):
                section = self._sections.setdefault(name, Section(self._schema["$defs"][name], repeated=repeated))
                section.places.append(below)
                self._walk(below, section.table)

    def _section(self, section: Section) -> str:
        later = _later(section.places[0][:-1], section.places[0][-1], {"$ref": ""})
        lines = [f"### {self._heading(section)}", "", _wrapped(_sentence(section.table["description"]) + later)]
        if len(section.places) > 1:
            lines += ["", _wrapped(f"In {', '.join(f'`[{_dotted(place)}]`' for place in section.places)}.")]
        lines.append("")
        needed = section.table.get("required", [])
        for key, value in self._in_order(section):
            lines.append(self._key(section, key, value, needed=key in needed))
        return "\n".join(lines) + "\n"

    def _in_order(self, section: Section) -> list[tuple[str, dict[str, Any]]]:
        """What a table alone has comes before what policies have, too."""
        shared = self._schema["$defs"]["PolicySettings"]["properties"]
        return sorted(section.table["properties"].items(), key=lambda each: each[0] in shared)

    def _heading(self, section: Section) -> str:
        if len(section.places) > 1:
            return ", ".join(dict.fromkeys(f"`{place[-1]}`" for place in section.places))
        name = _dotted(section.places[0])
        return f"`[[{name}]]`" if section.repeated else f"`[{name}]`"

    def _key(self, section: Section, key: str, value: dict[str, Any], *, needed: bool) -> str:
        kind = self._kind(value)
        default = f", default `{toml(value['default'])}`" if "default" in value else ", needed" if needed else ""
        later = _later(section.places[0], key, value)
        return _wrapped(f"- **`{key}`** ({kind}{default}): {value['description']}{later}", hanging="  ")

    def _kind(self, value: dict[str, Any]) -> str:
        """As one would say what it takes."""
        shapes = [shape for shape in value.get("anyOf", [value]) if not _is_variable(shape)]
        patterns = {shape.get("pattern") for shape in shapes}
        for pattern, kind in ((DURATION, "duration"), (SIZE, "size")):
            if pattern in patterns:
                others = [word for shape in shapes if "const" in shape for word in self._shape(shape)]
                (number,) = [shape for shape in shapes if shape.get("type") in {"integer", "number"}]
                bounds = _bounds({**number, "minimum": number.get("minimum") or None})
                return _alternatives([f"{kind}{bounds}", *others])
        if any(shape.get("properties", {}).keys() == {"file"} for shape in shapes):
            return "secret"
        return _alternatives([word for shape in shapes for word in self._shape(shape)])

    def _shape(self, shape: dict[str, Any]) -> list[str]:
        """The alternatives that it has."""
        if "$ref" in shape:
            section = self._sections[shape["$ref"].rpartition("/")[2]]
            return [f"[table](#{_anchor(self._heading(section))})"]
        if "enum" in shape:
            return [f"`{toml(each)}`" for each in shape["enum"]]
        if "const" in shape:
            return [f"`{toml(shape['const'])}`"]
        match shape["type"]:
            case "array":
                return [f"array of {self._kind(shape['items'])}"]
            case "object":
                return [f"table of {self._kind(shape['additionalProperties'])} by name"]
            case "boolean":
                return ["`true`", "`false`"]
            case kind:
                return [f"{kind}{_bounds(shape)}"]


def policy_page() -> str:
    """The page's text."""
    return PolicyPage().text()


def _tables(value: dict[str, Any], place: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """The kinds of table that stand at a key, where, and whether there may be many of them in an array."""
    for shape in value.get("anyOf", [value]):
        if "$ref" in shape:
            yield shape["$ref"].rpartition("/")[2], place, False
        elif shape.get("type") == "array":
            yield from ((name, below, True) for name, below, _ in _tables(shape["items"], place))
        elif isinstance(shape.get("additionalProperties"), dict):
            yield from _tables(shape["additionalProperties"], (*place, NAMED))


def _is_variable(shape: dict[str, Any]) -> bool:
    return "variable" in shape.get("description", "")


def _bounds(shape: dict[str, Any]) -> str:
    least, most, above = shape.get("minimum"), shape.get("maximum"), shape.get("exclusiveMinimum")
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    if above is not None:
        return f" above {above:g}"
    return f", at least {least:g}" if least is not None else ""


def _alternatives(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _later(place: tuple[str, ...], key: str, value: dict[str, Any]) -> str:
    """What this version refuses, found by asking for it."""
    shapes = value.get("anyOf", [value])
    if any("$ref" in shape for shape in shapes) or {"type": "string"} in shapes or shapes == [value]:
        whole = _refused(place, key, {}) or _refused(place, key, "x")
        return f" **{NOT_YET.capitalize()}.**" if whole else ""
    words = [True] if {"type": "boolean"} in shapes else [word for shape in shapes for word in shape.get("enum", [])]
    refused = [f"`{toml(word)}`" for word in words if _refused(place, key, word)]
    return f" **{NOT_YET.capitalize()}: {', '.join(refused)}.**" if refused else ""


def _refused(place: tuple[str, ...], key: str, value: Any) -> bool:
    document: Any = {key: value}
    for part in reversed(place):
        document = {part: document}
    return any(problem.place == (*place, key) for problem in unavailable(document))


def _sentence(text: str) -> str:
    """A class says its own name first: the heading has said it."""
    text = re.sub(r"^`\[?[\w.]+\]?`[:;] ", "", text)
    return text[0].upper() + text[1:]


def _dotted(place: tuple[str, ...]) -> str:
    return ".".join(place)


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _wrapped(text: str, hanging: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
