"""A stranger's prose: what a terminal would obey is shown instead."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cli.llm.plain import visible, write

OBEYED = {*map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0))} - {"\n", "\t"}


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> bytes:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    assert not OBEYED & set(visible(text))


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_all_that_only_prints_is_left_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("a\x9b1mb", r"a\x9b1mb"),
        ("pay \u202e001$", r"pay \u202e001$"),
        ("\u00a0\U0001f468\u200d\U0001f469", "\u00a0\U0001f468\u200d\U0001f469"),  # a no-break space, a joined emoji
    ],
)
def test_escapes_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_terminal_gets_it_harmless_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    write("hi \x1b[31m")
    assert terminal.shown == rb"hi \x1b[31m"


def test_a_file_gets_it_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    write("hi \x1b[31m")
    assert capsys.readouterr().out == "hi \x1b[31m"


def test_what_the_encoding_lacks_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal("ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    write("caf\u00e9")
    assert terminal.shown == b"caf?"


def test_without_a_stdout_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    write("hi")
