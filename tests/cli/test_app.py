"""The command as typed, and how it ends: in trouble, without a reader, by Ctrl-C, on odd terminals."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys

import pytest

from sidecar.cli.app import main
from sidecar.cli.trouble import Trouble
from tests.kit.addresses import free_port
from tests.kit.blunt import blunt, json_answer
from tests.kit.commands import SIDECAR


def sidecar(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SIDECAR, *arguments], capture_output=True, text=True, timeout=30, check=False)


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Its exit code, in this process."""
    monkeypatch.setattr(sys, "argv", ["sidecar", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_help_lists_the_commands() -> None:
    done = sidecar("--help")
    assert done.returncode == 0
    for command in ("run", "demo", "check", "schema", "status", "log-level", "trace"):
        assert command in done.stdout


@pytest.mark.parametrize("arguments", [["walk"], ["run", "--fast"], ["check", "a", "b"], ["trace"], ["log-level"]])
def test_bad_usage_is_exit_code_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Usage" in printed.err


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "schema"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("{")


def test_trouble_goes_to_stderr_and_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert typed(monkeypatch, "status", "--admin", url) == 1
    assert typed(monkeypatch, "status", "--admin", "ftp://h") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, second = printed.err.splitlines()
    assert first.startswith(f"sidecar: {url} does not answer: Connection refused.")
    assert second == "sidecar: ftp://h is no address: http://HOST:PORT, HOST:PORT or unix:/PATH is"


def test_each_line_of_a_trouble_says_whose_it_is_and_steers_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(*_: object, **__: object) -> int:
        raise Trouble("one\n\x1b[2Jtwo", 2)

    monkeypatch.setattr("sidecar.cli.circuits.circuits", work)
    assert typed(monkeypatch, "circuits") == 2
    assert capsys.readouterr().err == "sidecar: one\nsidecar: \\x1b[2Jtwo\n"


@pytest.mark.parametrize("arguments", [["schema"], ["--version"]])
def test_a_reader_who_has_had_enough(arguments: list[str]) -> None:
    """A long answer breaks while it is printed, a short one when the buffer is emptied at the end."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run([SIDECAR, *arguments], stdout=theirs, stderr=subprocess.PIPE, timeout=30, check=False)
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (141, b"")


async def test_ctrl_c_ends_it_with_130_and_no_traceback() -> None:
    async with blunt(b"", hangs=True) as there:
        waiting = await asyncio.create_subprocess_exec(
            SIDECAR, "status", "--admin", there.url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            while not there.heard:  # noqa: ASYNC110 - nothing tells that it waits for the answer now
                await asyncio.sleep(0.01)
            waiting.send_signal(signal.SIGINT)
            out, err = await waiting.communicate()
    assert (waiting.returncode, out, err) == (130, b"", b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_a_locale_without_arrows(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def printed(*arguments: str) -> bytes:
        raw = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
            assert await asyncio.to_thread(typed, patch, "health", *arguments, "--admin", there.url) == 0
            return raw.getvalue()

    said = {"service": "sidecar", "status": "degraded", "checks": {"→": "…"}}
    async with blunt(json_answer(said)) as there:
        assert json.loads(await printed("--json")) == said
        assert await printed() == b"degraded\ncheck  says\n?      ?\n"


def test_without_a_stdout() -> None:
    done = subprocess.run(["sh", "-c", f"{SIDECAR} --help >&-"], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
