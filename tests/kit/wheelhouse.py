"""Wheels of what is installed here, for a pip that shall not ask an index: an image's build is then offline, the same
every time, and needs a second for its packages instead of ten.

A wheel is a zip of what RECORD lists (packaging.python.org, "Binary distribution format"); scripts are left out, as
pip writes them anew.
"""

from __future__ import annotations

import zipfile
from importlib.metadata import Distribution, distribution
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PIPS_OWN = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
"""Files of a dist-info that the installer has added."""


def wheelhouse(folder: Path, wanted: Iterable[str]) -> None:
    """Fill `folder` with wheels of what these requirements stand for, and of all that those need."""
    for each in _closure(wanted):
        _pack(each, folder)


def _closure(wanted: Iterable[str]) -> Iterator[Distribution]:
    waiting = [Requirement(each) for each in wanted]
    seen: set[tuple[str, str]] = set()
    packed: set[str] = set()
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        found = distribution(name)
        if name not in packed:
            packed.add(name)
            yield found
        for extra in {"", *asked.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                needs = (Requirement(each) for each in found.requires or ())
                waiting += [each for each in needs if each.marker is None or each.marker.evaluate({"extra": extra})]


def _pack(found: Distribution, folder: Path) -> None:
    told = found.read_text("WHEEL") or ""
    tags = [line.removeprefix("Tag: ") for line in told.splitlines() if line.startswith("Tag: ")]
    if not tags:
        pytest.skip(f"{found.name} has not been installed from a wheel: it cannot be made one again")
    parts = [sorted(set(part)) for part in zip(*(tag.split("-") for tag in tags), strict=True)]
    name = f"{found.name.replace('-', '_')}-{found.version}-{'-'.join('.'.join(part) for part in parts)}.whl"
    files = [file for file in found.files or () if ".." not in file.parts and file.suffix != ".pyc"]
    facts = next(file.parts[0] for file in files if file.parts[0].endswith(".dist-info"))
    with zipfile.ZipFile(folder / name, "w") as wheel:  # not compressed: it is read once
        for file in files:
            if file.parts[0] != facts or file.name not in _PIPS_OWN:
                wheel.write(str(file.locate()), str(file))
        wheel.writestr(f"{facts}/RECORD", "".join(f"{each},,\n" for each in [*wheel.namelist(), f"{facts}/RECORD"]))
