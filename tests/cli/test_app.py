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
from tests.kit.caller import PATIENCE
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
        async with asyncio.timeout(PATIENCE):
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


@pytest.mark.parametrize("command", ["--help", "init -"])
def test_without_a_stdout(command: str) -> None:
    done = subprocess.run(["sh", "-c", f"{SIDECAR} {command} >&-"], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("send -m a", 2, b"sidecar: there is nothing to send: sidecar send TEXT, or the text on stdin\n"),
        ("chat -m a", 0, b""),
    ],
)
def test_without_a_stdin(command: str, code: int, said: bytes) -> None:
    """As a daemon starts programs; it is an empty one."""
    typed = f"{SIDECAR} {command} <&-"
    done = subprocess.run(["sh", "-c", typed], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", said)


def test_without_a_stderr_complaints_are_not_taken_for_results() -> None:
    command = f"{SIDECAR} health --admin 127.0.0.1:{free_port()} 2>&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize("command", ["schema", "--version"])
@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_what_it_prints_cannot_be_written(command: str, unbuffered: str) -> None:
    """As on a full disk; met while a long answer is printed, and at the end with a short one."""
    only_to_read = os.open(__file__, os.O_RDONLY)
    try:
        done = subprocess.run(
            [SIDECAR, command], stdout=only_to_read, stderr=subprocess.PIPE, timeout=30, check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    finally:
        os.close(only_to_read)
    said = b"sidecar: what is to be printed cannot be written: Bad file descriptor\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_ctrl_c_while_it_is_imported() -> None:
    """It is silent from the moment on that its own code runs; what Python says before is Python's."""
    script = (
        "import signal, sys\n"
        "class Pressed:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'sidecar.cli.app':\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Pressed())\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sidecar.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_ctrl_c_while_a_shell_asks_for_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setenv("_SIDECAR_COMPLETE", "bash")
    monkeypatch.setattr("sidecar.cli.completion.answer", pressed)
    assert typed(monkeypatch) == 130
