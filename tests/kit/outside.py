"""Tools that are not Python's: a newcomer may lack one, CI may not."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(tool: str) -> str:
    """Where the tool is. Without it the test is skipped, saying so; with `CI=true` it fails."""
    found = shutil.which(tool)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{tool} is missing: .ci/run must install it")
        pytest.skip(f"{tool} is not installed here")
    return found
