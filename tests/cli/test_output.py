"""What commands print, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cli.output import aligned, harmless, lasting, on_terminal, print_json, print_line, print_table, shortened
from tests.kit.screen import screen


def test_columns_stand_under_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "state", "calls"), [("a", "open", 1200), ("openai/gpt-4o", None, True)])
    assert capsys.readouterr().out.splitlines() == [
        "name           state  calls",
        "a              open   1200",
        "openai/gpt-4o  -      yes",
    ]


def test_a_table_without_rows_is_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "state"), [])
    assert capsys.readouterr().out == "name  state\n"


def test_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with screen(monkeypatch, 80) as seen:
        assert on_terminal()
        print_table(("name", "state"), [("a", "open, 3.0 s"), ("[red]b", "closed")])
        print_line("[bold]fine :smile:", "green")
    assert "\x1b[1;31mopen, 3.0 s" in seen[0]
    assert "\x1b[32mclosed" in seen[0]
    assert "[red]b" in seen[0]
    assert "\x1b[32m[bold]fine :smile:" in seen[0]


@pytest.mark.parametrize("columns", [1, 16, 200])
def test_a_terminal_of_any_width_shows_what_a_file_gets(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with screen(monkeypatch, columns) as seen:
        print_table(("name", "state", "more"), [("abcdefghijklmnopqrstuvwxyz", "open", ""), ("open", "open", "z")])
        print_line("abcdefghijklmnopqrstuvwxyz", "green")
    assert re.sub(r"\x1b\[[\d;]*m", "", seen[0]).splitlines() == [
        "name                        state  more",
        "abcdefghijklmnopqrstuvwxyz  open",
        "open                        open   z",
        "abcdefghijklmnopqrstuvwxyz",
    ]
    assert seen[0].count("\x1b[1;31mopen\x1b[0m") == 3


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x1b]0;title\x07", "a\rb", "a\nb", "\x9b31m", "\u202egnp.exe", "\udcff", "\0"]
)
def test_a_name_cannot_steer_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [(text,)])
    print_line(text)
    print_json({text: text})
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert len(printed.splitlines()) == 6
    assert json.loads("\n".join(printed.splitlines()[3:])) == {text: text}


def test_names_of_all_the_world_stay_as_they_are() -> None:
    assert harmless("ünïcode → 名前 😀") == "ünïcode → 名前 😀"


@given(st.text())
def test_nothing_printed_is_a_control_character(text: str) -> None:
    assert harmless(text).isprintable()


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_says_the_same_in_every_encoding(document: object) -> None:
    for encoding in ("utf-8", "ascii", "latin-1"):
        raw = io.BytesIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
            print_json(document)
            assert json.loads(raw.getvalue().decode(encoding)) == document


@given(st.lists(st.tuples(st.text(" -ab\t"), st.text(" open,"), st.text(" -ab\t")), max_size=4))
def test_colours_change_no_letter(rows: list[tuple[str, ...]]) -> None:
    printed: list[str] = []
    for stdout in (io.StringIO(), Tty()):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            patch.setenv("TERM", "xterm-256color")
            print_table(("a", "b", "c"), rows)
            printed.append(re.sub(r"\x1b\[[\d;]*m", "", stdout.getvalue()))
    assert printed[0] == printed[1]


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_is_read_by_people_too(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "ü", "at": pytest})
    assert capsys.readouterr().out.splitlines()[1] == '  "name": "ü",'


def test_without_a_stdout_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert not on_terminal()
    print_table(("name",), [("a",)])
    print_json({})


def test_the_last_column_is_not_filled_up() -> None:
    assert aligned([("a", "b"), ("long", "")]) == ["a     b", "long"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 ms"),
        (0.0004, "0.4 ms"),
        (0.25, "250.0 ms"),
        (1, "1.0 s"),
        (119.9, "119.9 s"),
        (180, "3 min"),
        (9000, "2 h"),
    ],
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


def test_a_hash_is_told_by_its_beginning() -> None:
    assert shortened("0123456789abcdef" * 4) == "0123456789ab"
