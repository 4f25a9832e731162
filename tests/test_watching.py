"""Changes of files are seen, however they come about; text that is still being written is not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest

from sidecar import watching
from tests.kit.caller import PATIENCE
from tests.kit.running import Running, one, running
from tests.kit.scripted import scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def text_of(sidecar: Running, **changes: str) -> str:
    text = sidecar.file.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


async def live(sidecar: Running, text: str) -> None:
    """Returns once this text is in use."""
    view = sidecar.daemon.view
    assert view is not None
    assert await view.wait_config(hashlib.sha256(text.encode()).hexdigest(), PATIENCE)


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def renamed(file: Path, text: str) -> None:
    other = file.with_suffix(".new")
    other.write_text(text)
    other.rename(file)


def removed_first(file: Path, text: str) -> None:
    file.unlink()
    file.write_text(text)


@pytest.mark.parametrize("write", [in_place, renamed, removed_first])
async def test_another_text_is_live_by_itself(write: Callable[[Path, str], None]) -> None:
    async with scripted() as upstream, running(one(upstream.url), watched=True) as sidecar:
        for prefix in ("/a", "/b"):
            text = text_of(sidecar) + f'rewrite = "{prefix}"\n' if prefix == "/a" else text_of(sidecar).replace("/a", "/b")
            write(sidecar.file, text)
            await live(sidecar, text)
            await sidecar.ask("/x")
            assert upstream.requests[-1].startswith(f"GET {prefix}/x".encode())
