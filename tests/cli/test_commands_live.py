"""The commands to a running sidecar as typed: each option arrives, and none of them starts slowly."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.app import main
from tests.kit.addresses import free_port
from tests.kit.asked import LISTEN, NOWHERE, governed
from tests.kit.running import QUICK, one, running

if TYPE_CHECKING:
    from tests.kit.running import Running

COMMANDS = (
    ["status"], ["health"], ["health", "--live"], ["circuits"],
    ["reset"], ["reload"], ["log-level", "info"], ["trace", "x"],
)  # fmt: skip

SLOW = {"aiohttp", "asyncio", "grpc", "orjson", "pydantic", "rich", "sidecar.config", "sidecar.settings", "uvloop"}

SCRIPT = f"""
import sys
from sidecar.cli import main
for command in {COMMANDS!r}:
    sys.argv = ["sidecar", *command, "--admin", "127.0.0.1:PORT"]
    try:
        main()
    except SystemExit as end:
        assert end.code == 1, (command, end.code)
    sys.argv.append("--help")
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, (command, end.code)
print("\\n".join(sys.modules))
"""


async def typed(sidecar: Running, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sidecar", *arguments, "--admin", sidecar.admin])
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(main)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_each_answers_in_json(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with governed(QUICK) as sidecar:
        answer = await sidecar.ask("/", "X-Request-ID: x")
        await sidecar.log.call(answer.fields["x-sidecar-request-id"])
        code = await typed(sidecar, monkeypatch, *command, "--json")
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    assert isinstance(json.loads(printed.out), dict)


async def test_the_token_is_an_option_or_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(one(NOWHERE, more=f'{LISTEN}[admin]\ntoken = "t"\n')) as sidecar:
        assert await typed(sidecar, monkeypatch, "reset") == 2
        assert "--token" in capsys.readouterr().err
        assert await typed(sidecar, monkeypatch, "reset", "--token", "t") == 0
        monkeypatch.setenv("SIDECAR_ADMIN_TOKEN", "t")
        assert await typed(sidecar, monkeypatch, "log-level", "info") == 0


async def test_what_is_typed_arrives(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async with governed() as sidecar:
        sidecar.runtime.breakers()["a"].force_open()
        assert await typed(sidecar, monkeypatch, "health", "--all") == 1
        assert "process" in capsys.readouterr().out
        assert await typed(sidecar, monkeypatch, "reset", "b") == 2
        assert await typed(sidecar, monkeypatch, "reset", "a") == 0
        assert await typed(sidecar, monkeypatch, "trace", "nope") == 1
        assert await typed(sidecar, monkeypatch, "log-level", "loud") == 2


def test_none_of_them_imports_what_takes_long() -> None:
    script = SCRIPT.replace("PORT", str(free_port()))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert SLOW & set(done.stdout.splitlines()) == set()
