"""Programs from outside that tests run beside the sidecar: a Redis, a browser, a linter of somebody else's format.

On a machine without one, a test that asks for it says so and is skipped; where `CI` is set it fails: `.ci/run`
installs them.
"""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import pytest


@cache
def _found(names: tuple[str, ...]) -> Path | None:
    where = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    found = next(filter(None, (shutil.which(name, path=where) for name in names)), None)
    return Path(found) if found else None


def tool(*names: str, package: str = "") -> Path:
    """The first program of these names that is installed; `package` brings it, where it is called otherwise."""
    found = _found(names)
    if found is None:
        said = f"{' or '.join(names)} is not installed (Debian's package {package or names[0]})"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return found
