"""`sidecar check --live`: whether what runs is this file, and what it would change."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from sidecar.cli.app import app
from sidecar.cli.check import check
from sidecar.cli.trouble import Trouble
from sidecar.errors import ConfigError
from tests.kit.addresses import free_port
from tests.kit.peer import listening
from tests.kit.policy_file import load
from tests.kit.running import Running, one, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


POLICY = '[listen]\nhttp = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n' + one("http://127.0.0.1:1")


class Asked:
    """The command, and what it printed behind the summary."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def lines(self, sidecar: Running, file: Path | None = None, *, token: str = "") -> tuple[int, list[str]]:
        path = str(file or sidecar.file)
        code = await asyncio.to_thread(check, path, live=True, admin=sidecar.admin, token=token)
        printed = self._capsys.readouterr().out.replace(str(sidecar.file), "RUNNING").splitlines()
        summary = [number for number, line in enumerate(printed) if line.startswith("    r  /*")]
        return code, printed[summary[-1] + 1 :]

    async def document(self, url: str, file: Path) -> tuple[int, dict[str, Any]]:
        code = await asyncio.to_thread(check, str(file), as_json=True, live=True, admin=url)
        told: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return code, told["live"]


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.delenv("SIDECAR_ADMIN_TOKEN", raising=False)
    return Asked(capsys)


async def test_the_file_that_runs_is_live(asked: Asked) -> None:
    async with running(POLICY) as sidecar:
        assert await asked.lines(sidecar) == (0, ["live: generation 1"])
        await sidecar.daemon.reload()
        assert await asked.lines(sidecar) == (0, ["live: generation 2"])
        code, live = await asked.document(sidecar.admin, sidecar.file)
        assert code == 0
        assert (live["same"], live["generation"], live["changes"], live["stale"]) == (True, 2, [], "")


async def test_a_file_that_is_not_live_is_told_by_what_it_would_change(asked: Asked) -> None:
    async with running(POLICY) as sidecar:
        # Written under the sidecar's feet: `running` serves without a watcher, so that it is not taken by itself.
        sidecar.file.write_text(sidecar.file.read_text() + 'deadline = "9s"\n[policies.default.retry]\ntries = 9\n')
        assert await asked.lines(sidecar) == (
            1,
            [
                "not live: generation 1 runs, and this file would change",
                "  ~ policies.default.retry.tries  3 → 9  (RUNNING:16)",
                "      so for routes r",
                "  ~ routes.r.deadline  5m → 9s  (RUNNING:14)",
            ],
        )
        code, live = await asked.document(sidecar.admin, sidecar.file)
        assert (code, live["same"], [one["key"] for one in live["changes"]]) == (
            1,
            False,
            ["policies.default.retry.tries", "routes.r.deadline"],
        )


async def test_another_text_with_the_same_meaning_is_not_live_and_changes_nothing(asked: Asked) -> None:
    async with running(POLICY) as sidecar:
        sidecar.file.write_text(sidecar.file.read_text() + "# a word\n")
        code, lines = await asked.lines(sidecar)
        assert (code, lines[1:]) == (1, ["  nothing, unless a secret is another one"])


async def test_a_sidecar_of_another_file_says_which(asked: Asked, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    async with running(POLICY) as sidecar:
        file.write_text(sidecar.file.read_text())
        assert await asked.lines(sidecar, file) == (0, ["live: generation 1", "it runs another file: RUNNING"])


async def test_a_sidecar_that_is_stale_says_why(asked: Asked, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    async with running(POLICY) as sidecar:
        file.write_text(sidecar.file.read_text())
        sidecar.file.write_text("[listen]\nhtp = 1\n")
        with pytest.raises(ConfigError):
            await sidecar.daemon.reload()
        _, lines = await asked.lines(sidecar, file)
        assert lines[-1] == (
            "it did not take what it found there: RUNNING:2: listen.htp: unknown key (did you mean 'http'?)"
        )


async def test_a_token_is_asked_where_one_is_needed(asked: Asked) -> None:
    policy = POLICY.replace('admin = "127.0.0.1:0"', 'admin = "0.0.0.0:0"') + '[admin]\ntoken = "secret"\n'
    async with running(policy) as sidecar:
        with pytest.raises(Trouble, match="--token"):
            await asked.lines(sidecar)
        assert await asked.lines(sidecar, token="secret") == (0, ["live: generation 1"])


async def test_nobody_there(asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(POLICY)
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Trouble, match="Is a sidecar running") as caught:
        await asyncio.to_thread(check, str(file), live=True, admin=url)
    assert caught.value.code == 1
    assert capsys.readouterr().out.startswith(f"{file}: fine")
    code, live = await asked.document(url, file)
    assert (code, live["same"]) == (1, False)
    assert "does not answer" in live["unknown"]


@asynccontextmanager
async def answering(*documents: dict[str, Any]) -> AsyncIterator[str]:
    """Somebody who says these one after the other; where."""
    async with listening() as stranger:

        async def answer() -> None:
            for document in documents:
                peer = await stranger.accept()
                await peer.request()
                body = json.dumps(document).encode()
                peer.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(answer())
            yield stranger.url


async def test_somebody_else_there(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(POLICY)
    async with answering({"hash": "other"}, {}) as url:
        with pytest.raises(Trouble, match="does not say what it runs") as caught:
            await asyncio.to_thread(check, str(file), live=True, admin=url)
        assert caught.value.code == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("mine.toml", []),
        ("conf/mine.toml", []),
        ("other.toml", ["it runs another file: other.toml"]),
        ("/mine.toml", ["it runs another file: /mine.toml"]),
    ],
)
async def test_where_a_relative_path_begins_nobody_knows(
    said: str, told: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(POLICY)
    config = {"hash": load(POLICY).hash, "generation": 7, "config": {}, "file": said}
    async with answering(config, {"checks": {"config": "ok"}}) as url:
        assert await asyncio.to_thread(check, str(file), live=True, admin=url) == 0
    assert capsys.readouterr().out.partition("live: generation 7\n")[2].splitlines() == told


async def test_as_typed() -> None:
    async with running(POLICY) as sidecar:
        typed = ["check", str(sidecar.file), "--live", "--json", "--admin", sidecar.admin, "--token", "t"]
        said = await asyncio.to_thread(CliRunner().invoke, app, typed)
        assert (said.exit_code, json.loads(said.stdout)["live"]["same"]) == (0, True)
