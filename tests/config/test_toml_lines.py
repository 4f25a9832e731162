"""The line of each key, held against `tomllib` on documents that hypothesis writes in every style."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.toml_lines import Place, key_lines


def lines(text: str) -> dict[Place, int]:
    return key_lines(dedent(text))


def places(value: Any, place: Place = ()) -> set[Place]:
    """Every place of a document as `tomllib` reads it."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [places(item, (*place, key)) for key, item in children]
    return set().union({place} if place else set(), *below)


def test_a_key_stands_where_it_is_written() -> None:
    assert lines("""\
        # first
        a = 1
        [t]

        b = 2  # b = 3
        """) == {("a",): 2, ("t",): 3, ("t", "b"): 5}


def test_a_dotted_key_names_its_tables() -> None:
    assert lines("a.b . c = 1\na.d = 2") == {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 1, ("a", "d"): 2}


def test_a_header_names_the_tables_above_it() -> None:
    assert lines("[a.b]\nc = 1\n[a]\nd = 2") == {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2, ("a", "d"): 4}


def test_quoted_keys_are_read() -> None:
    assert lines("""["x.y".'z"']\n"\\u0041 \\"=" = 1""") == {
        ("x.y",): 1,
        ("x.y", 'z"'): 1,
        ("x.y", 'z"', 'A "='): 2,
    }


def test_an_inline_table_stands_on_its_line() -> None:
    found = lines("\nt = { a = 1, 'b' = { c.d = [2, { e = 3 }] } }")
    assert found[("t", "b", "c", "d", 1, "e")] == 2
    assert set(found.values()) == {2}


def test_elements_of_an_array_have_their_own_lines() -> None:
    found = lines("""\
        a = [  # ]
          "x",
          [1, 2], # [

          { b = "]" },
        ]
        c = 1
        """)
    assert (found[("a",)], found[("a", 0)], found[("a", 1, 1)], found[("a", 2, "b")], found[("c",)]) == (1, 2, 3, 5, 7)


def test_an_array_of_tables_counts_its_headers() -> None:
    found = lines("[[a]]\nb = 1\n[[a]]\n[a.c]\nd = 2\n[[a.e]]\n[[a.e]]\nf = 3")
    assert (found[("a",)], found[("a", 0, "b")], found[("a", 1)], found[("a", 1, "c", "d")]) == (1, 2, 3, 5)
    assert (found[("a", 1, "e", 0)], found[("a", 1, "e", 1, "f")]) == (6, 8)


def test_what_looks_like_toml_inside_a_string_is_none() -> None:
    found = lines('''\
        a = """
        x = 1
        \\"""
        [t]"""
        b = \'\'\'
        y = 2
        ''\'\'\'
        c = "\\"# [z]"
        d = '[z] # "'
        e = """""""
        f = 1''')
    assert found == {("a",): 1, ("b",): 5, ("c",): 8, ("d",): 9, ("e",): 10, ("f",): 11}


def test_line_breaks_of_windows() -> None:
    assert lines("a = 1\r\n# c\r\nb = [\r\n2]\r\n") == {("a",): 1, ("b",): 3, ("b", 0): 4}


def test_an_empty_file_has_no_keys() -> None:
    assert lines("") == {}
    assert lines("# nothing") == {}


def test_a_date_with_a_blank_is_one_value() -> None:
    assert lines("a = 1979-05-27 07:32:00\nb = [1979-05-27 07:32:00, 2]")[("b", 1)] == 2


# Documents in every style. Each name holds a number of its own, so that the text itself tells where it stands.

_SCALARS = ["1", "-1.5e3", "true", "1979-05-27 07:32:00", "inf", '"# [x] = \\" {"', "'[[x]]'", '""', "''"]
_SCALARS += ['"""\nx = 1\n"""', "'''\n]\n'''", '"""a""b"""""', "''''it's'''"]
_BLANKS = ["", " ", "\t "]
_GAPS = ["", " ", "\n", " # [x] = 'y'\n", "\r\n  "]


@dataclass
class Writer:
    """Writes TOML as `draw` decides, with names that occur once."""

    draw: st.DrawFn
    count: int = 0
    text: list[str] = field(default_factory=list)

    def one_of(self, choices: list[str]) -> str:
        return self.draw(st.sampled_from(choices))

    def few(self, least: int = 0) -> range:
        return range(self.draw(st.integers(least, 3)))

    def name(self) -> str:
        self.count += 1
        name = f"k{self.count}k"
        return self.one_of([name, f'"{name}.x"', f"'{name} \"'", json.dumps(f"{name}é\n")])

    def key(self) -> str:
        dot = f"{self.one_of(_BLANKS)}.{self.one_of(_BLANKS)}"
        return dot.join(self.name() for _ in self.few(1))

    def value(self, depth: int) -> str:
        kind = self.one_of(["scalar", "array", "inline"] if depth else ["scalar"])
        if kind == "scalar":
            return self.one_of(_SCALARS)
        if kind == "inline":
            blank = self.one_of(_BLANKS)
            pairs = [f"{blank}{self.key()} = {self.value(depth - 1)}{blank}" for _ in self.few()]
            return f"{{{','.join(pairs)}{self.one_of(_BLANKS)}}}"
        items = [self.one_of(_GAPS) + self.value(depth - 1) + self.one_of(_GAPS) for _ in self.few()]
        comma = self.one_of(["", ","]) + self.one_of(_GAPS) if items else ""
        return f"[{self.one_of(_GAPS)}{','.join(items)}{comma}]"

    def pairs(self) -> None:
        for _ in self.few():
            blank = self.one_of(_BLANKS)
            end = self.one_of(["\n", "  # = [\n", "\r\n", "\n\n"])
            self.text.append(f"{blank}{self.key()}{blank}={blank}{self.value(3)}{end}")

    def document(self) -> str:
        self.pairs()
        for _ in self.few():
            header = self.key()
            times = self.few(1) if self.one_of(["[[]]", "[]"]) == "[[]]" else range(0)
            for _ in times:
                self.text.append(f"[[{header}]] # x\n")
                self.pairs()
            if times:
                self.text.append(f"[ {header}.{self.name()} ]\n")
            else:
                self.text.append(f"[{header}]\n")
            self.pairs()
        return "".join(self.text)


@st.composite
def documents(draw: st.DrawFn) -> str:
    return Writer(draw).document()


@given(documents())
def test_the_scanner_finds_the_keys_that_tomllib_finds(text: str) -> None:
    assert set(key_lines(text)) == places(tomllib.loads(text))


@given(documents())
def test_a_name_is_on_the_line_where_the_text_has_it_first(text: str) -> None:
    for place, line in key_lines(text).items():
        if isinstance(place[-1], str):
            mark = f"k{place[-1].split('k')[1]}k"
            assert line == text[: text.index(mark)].count("\n") + 1
