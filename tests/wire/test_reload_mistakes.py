"""A policy file that will not do, in between: nothing changes, it is told everywhere, and it heals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidecar import watching
from tests.kit.reload_stage import reload_stage
from tests.kit.traffic import traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kit.reload_stage import Stage

REFUSED, TAKEN = "the policy file was not taken", "the policy file was taken"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are looked at often, and what they hold counts soon."""
    for name, value in {"_STEP": 10, "STILL": 0.01, "UNFINISHED": 0.02, "POLL": 0.1}.items():
        monkeypatch.setattr(watching, name, value)


def with_text(old: str, new: str) -> Callable[[Path], None]:
    """A change of the text."""

    def change(file: Path) -> None:
        whole = file.read_text()
        assert old in whole
        file.write_text(whole.replace(old, new))

    return change


def cut(file: Path) -> None:
    """The disk was full."""
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def emptied(file: Path) -> None:
    """`> sidecar.toml`."""
    file.write_text("")


def not_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe[\x00")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def linked_to(target: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        file.unlink()
        file.symlink_to(target)

    return change


def locked(file: Path) -> None:
    file.chmod(0)


MISTAKES: list[tuple[Callable[[Path], None], str]] = [
    (with_text("[routes.web]", "[routes.web"), "is not TOML"),
    (with_text("chain", "chian"), "did you mean 'chain'?"),
    (with_text('["web"]', '["wbe"]'), "there is no upstream wbe"),
    (with_text('keepalive = "75s"', 'keepalive = "soon"'), "limits.keepalive"),
    (with_text("[upstreams.rpc]", 'api_key = { file = "missing" }\n[upstreams.rpc]'), "cannot read"),
    (with_text('url = "http', 'tls = { ca = "missing" }\nurl = "https'), "there is no file"),
    (with_text('url = "http', 'tls = { ca = "sidecar.toml" }\nurl = "https'), "cannot be used"),
    (with_text('http = "127.0.0.1:0"', 'http = "unix:/nowhere/at/all"'), "cannot listen"),
    (cut, "is not TOML"),
    (emptied, "is empty"),
    (not_text, "is not UTF-8"),
    (Path.unlink, "cannot be read"),
    (a_folder, "cannot be read"),
    (linked_to("nowhere/sidecar.toml"), "cannot be read"),
    (linked_to("sidecar.toml"), "cannot be read"),
    *([(locked, "cannot be read")] if os.geteuid() else []),  # root reads everything
]


def mended(file: Path, text: str) -> None:
    """Another file, whatever stands in its place."""
    beside = file.with_name("mended")
    beside.write_text(text)
    if file.is_dir():
        file.rmdir()
    beside.replace(file)


async def config_says(stage: Stage) -> tuple[str, float]:
    """What health and metrics say of the configuration."""
    return (await stage.ask("/health"))["checks"]["config"], await stage.metric("sidecar_config_reload_failed")


async def test_whatever_is_wrong_nothing_changes_until_it_is_mended() -> None:
    async with reload_stage(watched=True) as stage, traffic(stage.sidecar) as callers:
        good = stage.policy()
        callers.live(await stage.post(good))
        for wrong, words in MISTAKES:
            generation, since = stage.generation, len(stage.sidecar.log.lines)
            wrong(stage.sidecar.file)
            line = await stage.told(REFUSED, since=since)
            assert words in line["message"]
            stale, failed = await config_says(stage)
            assert stale.startswith("stale: ")
            assert words in stale
            assert (failed, stage.generation) == (1, generation)
            await callers.turn()
            good = stage.policy("another header" if good.name == "as it was" else "as it was")
            mended(stage.sidecar.file, good.text)
            callers.live(await stage.live(good))
            assert await config_says(stage) == ("ok", 0)
            assert stage.generation == generation + 1
            await callers.turn()
    assert callers.failures() == []
    assert callers.mixed(stage.generations) == []


async def test_the_old_text_heals_as_well() -> None:
    async with reload_stage(watched=True) as stage, traffic(stage.sidecar) as callers:
        good = stage.sidecar.file.read_text()
        for wrong, _ in MISTAKES[:2]:
            since = len(stage.sidecar.log.lines)
            wrong(stage.sidecar.file)
            await stage.told(REFUSED, since=since)
            mended(stage.sidecar.file, good)
            await stage.told(TAKEN, since=since)
            assert await config_says(stage) == ("ok", 0)
    assert callers.failures() == []
