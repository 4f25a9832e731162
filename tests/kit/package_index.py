"""The way to Python packages from here, for a pip that runs where this machine's own settings are not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

_SETTING = re.compile(r"^(?:global|install)\.([\w-]+)='(.*)'$", re.MULTILINE)
_FOLDER = re.compile(r"(?:^|\s)(?:file://)?(/[^\s]+)")
_WAY_OUT = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def _pip(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, timeout=30, check=True
    ).stdout


@cache
def settings() -> dict[str, str]:
    """As environment variables: what pip's files say here, what the environment says, and the way out."""
    told = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in _SETTING.findall(_pip("config", "list"))}
    told |= {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in _WAY_OUT}
    told.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return told


@cache
def folders() -> dict[str, str]:
    """Those of this machine that the settings name, each to be seen where it is. An index has its files beside it."""
    named = {found for value in settings().values() for found in _FOLDER.findall(value)}
    seen = {Path(name).parent if name.rstrip("/").endswith("/simple") else Path(name) for name in named}
    return {str(folder): str(folder) for folder in sorted(seen) if folder.is_dir()}


@cache
def downloads() -> str:
    """Where pip keeps what it has downloaded."""
    folder = Path(_pip("cache", "dir").strip())
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
