"""Completion: what is offered where, in each shell's form, and a real bash whose Tab key is pressed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pytest
import typer
import typer.main
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.cli.completion import LINE, SHELL, Offer, answer, offer, script, typed
from sidecar.cli.completion_scripts import SCRIPTS
from tests.kit.caller import PATIENCE
from tests.kit.commands import SIDECAR

if TYPE_CHECKING:
    from collections.abc import Iterator

toy = typer.Typer(add_completion=False)


class Dialect(StrEnum):
    openai = "openai"
    anthropic = "anthropic"


@toy.command()
def send(
    text: str,
    dialect: Annotated[Dialect, typer.Option("-p", "--dialect", help="Which\nAPI.")] = Dialect.openai,
    header: Annotated[list[str] | None, typer.Option("-H", "--header")] = None,
    config: Annotated[str | None, typer.Option("-c", "--config", metavar="FILE")] = None,
    stream: Annotated[bool, typer.Option("--stream/--whole")] = False,
    secret: Annotated[bool, typer.Option("--secret", hidden=True)] = False,
) -> None:
    """Send it. And more: at length."""


@toy.command()
def diff(old: str, new: str) -> None:
    """Compare."""


@toy.command("exec")
def execute(command: Annotated[list[str], typer.Argument(metavar="COMMAND...")]) -> None:
    """Run something."""


@toy.command(hidden=True)
def cellar() -> None:
    """Nobody is to know."""


TOY = typer.main.get_command(toy)
FILES = Offer(files=True)


def offered(line: str) -> list[str]:
    """The words for a line whose end is where the cursor is."""
    return [word for word, _ in offer(TOY, typed(f"toy {line}")).words]


def files(line: str) -> bool:
    return offer(TOY, typed(f"toy {line}")) == FILES


def test_commands_are_offered_with_their_first_sentence() -> None:
    assert offer(TOY, typed("toy ")).words == (("send", "Send it."), ("diff", "Compare."), ("exec", "Run something."))
    assert offered("s") == ["send"]
    assert offered("z") == []


def test_options_are_offered_once_unless_they_may_be_repeated() -> None:
    assert offered("send --") == ["--dialect", "--header", "--config", "--stream", "--whole", "--help"]
    assert offered("send -p openai --stream -H a:b -") == ["--header", "--config", "--help"]
    assert offered("--") == ["--help"]


def test_the_values_of_a_choice_are_offered() -> None:
    for line in ("send -p ", "send hello --dialect "):
        assert offered(line) == ["openai", "anthropic"]
    assert offered("send -p a") == ["anthropic"]
    assert offered("send --dialect=a") == ["--dialect=anthropic"]
    assert offered("send -p openai ") == []


def test_files_are_offered_where_files_are_asked_for_and_nowhere_else() -> None:
    assert files("send --config ")
    assert files("send -c my")
    assert files("send --config=my")
    assert files("diff ")
    assert files("diff a.toml ")
    assert files("exec python ")
    assert files("exec -- python --app")
    for line in ("send ", "send -H ", "diff a.toml b.toml ", "cellar "):
        assert not files(line)
        assert offered(line) == []


@pytest.mark.parametrize("line", ["nobody ", "nobody --", "send --nothing=", "send --nothing ", "diff a b c d ", "-"])
def test_nonsense_is_met_with_silence_or_options(line: str) -> None:
    assert set(offered(line)) <= {"--help"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", [""]),
        ("sidecar", [""]),
        ("sidecar ", [""]),
        ("sidecar ch", ["ch"]),
        ("sidecar check ", ["check", ""]),
        ('sidecar check "my f', ["check", "my f"]),
        (r"sidecar check my\ f", ["check", "my f"]),
        (r"sidecar check my\ ", ["check", "my "]),
        ("sidecar send 'it''s' ", ["send", "its", ""]),
        ("A=1 B= .venv/bin/sidecar run --config=x", ["run", "--config=x"]),
        ("sidecar send it's --", ["send", "its --"]),
        ("sidecar trace #7", ["trace", "#7"]),
    ],
)
def test_a_line_is_taken_apart_as_a_shell_would(line: str, words: list[str]) -> None:
    assert typed(line) == words


@given(st.text(alphabet=st.sampled_from("ab-=: \t\n'\"\\#$\u00e4"), max_size=30))
@example("sidecar \\")
def test_any_line_can_be_taken_apart_and_asked_about(line: str) -> None:
    words = typed(line)
    assert words
    offer(TOY, words)


@pytest.mark.parametrize(
    ("shell", "line", "printed"),
    [
        ("bash", "sidecar completion p", "words\npowershell\n"),
        ("bash", "sidecar check ", "files\n"),
        ("bash", "sidecar log-level w", "words\nwarning\n"),
        ("bash", "sidecar check --nothing=", "words\n"),
        ("fish", "sidecar sch", "words\nschema\tPrint the JSON Schema of the policy file.\n"),
        ("powershell", "sidecar sch", "words\nschema\tPrint the JSON Schema of the policy file.\n"),
        ("zsh", "sidecar sch", "words\nschema:Print the JSON Schema of the policy file.\n"),
        ("zsh", "sidecar completion z", "words\nzsh\n"),
    ],
)
def test_each_shell_is_answered_in_its_form(
    shell: str, line: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer({SHELL: shell, LINE: line}) == 0
    assert capsys.readouterr().out == printed


def test_a_shell_that_nobody_knows_gets_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer({SHELL: "tcsh", LINE: "tcsh "}) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_speaks_the_protocol_and_says_where_it_goes(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert script(shell) == 0
    told = capsys.readouterr().out
    assert SHELL in told
    assert LINE in told
    assert f"sidecar completion {shell}" in told


class Bash:
    """A bash on a terminal of its own, whose keys are pressed."""

    def __init__(self, folder: Path) -> None:
        self._terminal, theirs = pty.openpty()
        environ = {**os.environ, "PATH": f"{Path(SIDECAR).parent}:{os.environ['PATH']}", "PS1": "$ ", "TERM": "dumb"}
        environ |= {"HOME": str(Path(SIDECAR).parent), "INPUTRC": "/dev/null", "HISTFILE": ""}
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
            env=environ, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def press(self, keys: str, shows: str) -> None:
        """Returns when the terminal shows this."""
        os.write(self._terminal, keys.encode())
        seen = ""
        end = time.monotonic() + PATIENCE
        while shows not in seen.replace("\a", ""):
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"the terminal does not show {shows!r} but {seen!r}"
            seen += os.read(self._terminal, 4096).decode()

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._terminal)


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[Bash]:
    (tmp_path / "sidecar.toml").touch()
    (tmp_path / "my own.toml").touch()
    bash = Bash(tmp_path)
    yield bash
    bash.close()


def test_bash_completes_commands_options_values_and_files(bash: Bash) -> None:
    end = "\x15echo $((6*7))\n"  # clears the line; the prompt that follows is a new one
    bash.press('eval "$(sidecar completion bash)"; echo $((6*7))\n', "42\r\n")
    bash.press("sidecar che\t", "sidecar check ")
    bash.press(end, "42\r\n")
    bash.press("sidecar check si\t", "sidecar check sidecar.toml ")
    bash.press(end, "42\r\n")
    bash.press("true; A=1 sidecar run --config=my\t", r"sidecar run --config=my\ own.toml ")
    bash.press(end, "42\r\n")
    bash.press("sidecar run --con\t", "sidecar run --config ")
    bash.press(end, "42\r\n")
    bash.press("~/sidecar log-l\t", "sidecar log-level ")
    bash.press(end, "42\r\n")
    bash.press("sidecar completion po\t", "sidecar completion powershell ")
