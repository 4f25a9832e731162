"""Policy files for tests: text in, settings or mistakes out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidecar import config
from sidecar.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUTED = """
[upstreams.a]
url = "http://127.0.0.1:1"
[routes.r]
match = { path = "/*" }
chain = ["a"]
"""
"""The least that is a whole sidecar; a test adds what it is about."""


def load(text: str, environ: Mapping[str, str] | None = None) -> config.Loaded:
    """What `config.load` makes of a file with this text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sidecar.toml")
        path.write_text(text)
        return config.load(path, environ or {})


def mistakes(text: str, environ: Mapping[str, str] | None = None) -> list[Mistake]:
    """All that is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        load(text, environ)
    return list(caught.value.mistakes)


def mistake(text: str, environ: Mapping[str, str] | None = None) -> Mistake:
    """The only thing that is wrong with it."""
    (only,) = mistakes(text, environ)
    return only
