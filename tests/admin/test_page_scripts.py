"""What of the dashboard needs no page: reading the stream, writing numbers, keeping the last minutes. On Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.admin.page import FOLDER
from tests.kit.scene import START, call, numbers, pulse, route, state
from tests.kit.tools import tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Ask = Callable[[str, Any], Any]

NONE = "\N{EN DASH}"
"""Stands where a number is not known."""

PROGRAM = """
import { createInterface } from "node:readline";
import { frames } from "./frames.js";
import * as format from "./format.js";
import { History } from "./history.js";
import { Model } from "./model.js";

const asked = {
  frames(pieces) {
    const heard = [];
    const take = frames((name, data) => heard.push([name, data]));
    pieces.forEach(take);
    return heard;
  },
  written: ([how, values]) => values.map((value) => format[how](value)),
  history({ pulses, gaps, forget }) {
    const history = new History();
    for (const [at, seconds, routes] of pulses) {
      if (gaps.includes(at)) history.gap(at - 0.5);
      history.add(at, seconds, new Map(Object.entries(routes)));
    }
    if (forget) history.keep(new Set(forget));
    const of = (name) => ({ rate: history.rate(name), errors: history.errors(name), p50: history.values(name, "p50") });
    const routes = [...history.routes.keys()].map((name) => [name, of(name)]);
    return { times: history.times(), busiest: history.busiest(2), routes: Object.fromEntries(routes) };
  },
  model({ said, route }) {
    const model = new Model();
    for (const [name, what] of said) {
      if (name === "opened") model.opened();
      else if (name === "state") model.takeState(what);
      else if (name === "calls") model.addCalls(what);
      else model.takePulse(what);
    }
    return {
      breakers: [...model.breakers.keys()], calls: model.calls.map((one) => one.id), numbers: model.numbers(route),
      serving: Object.fromEntries(model.serving("routes", route)), routes: model.routes.map((one) => one.name),
    };
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const [what, value] = JSON.parse(line);
  console.log(JSON.stringify(asked[what](value)));
}
"""


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """`ask(what, value)` of `PROGRAM`: one process for all tests of this file."""
    folder = tmp_path_factory.mktemp("page")
    for script in FOLDER.glob("*.js"):
        shutil.copy(script, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "program.js").write_text(PROGRAM)
    node = tool("node", package="nodejs")
    process = subprocess.Popen(
        [node, "program.js"], cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    def asked(what: str, value: Any) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([what, value]) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:
        yield asked
        process.stdin.close()  # type: ignore[union-attr] # it is a pipe


NAMES = st.text("abc é:", max_size=5)
LINES = st.lists(st.text('ab: é{}"\\', max_size=6), min_size=1, max_size=3)
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.tuples(NAMES, LINES, NEWLINES), max_size=5), st.data())
def test_events_are_read_wherever_the_network_cuts_them(
    ask: Ask, events: list[tuple[str, list[str], str]], data: st.DataObject
) -> None:
    """HTML Standard, section 9.2.6: any of three ends of a line, comments, one space behind the colon."""
    text = ""
    for name, lines, end in events:
        text += f": a comment{end}event: {name}{end}id: 7{end}" + "".join(f"data: {one}{end}" for one in lines) + end
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    # A last `\r` may be half of an end, so something must follow it.
    heard = ask("frames", [*pieces, ": end\n"])
    assert heard == [[name or "message", "\n".join(lines)] for name, lines, _ in events]


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("data:no space\n\n", [["message", "no space"]]),
        ("data:  two\n\n", [["message", " two"]]),
        ("data\n\n", [["message", ""]]),
        ("event: pulse\n\n", []),
        ("event: pulse\n\ndata: x\n\n", [["message", "x"]]),
        ("data: cut off", []),
        ("nonsense: x\ndata: y\n\n", [["message", "y"]]),
    ],
)
def test_events_as_the_standard_has_them(ask: Ask, text: str, heard: list[list[str]]) -> None:
    assert ask("frames", [text]) == heard


@pytest.mark.parametrize(
    ("how", "values", "written"),
    [
        (
            "number",
            [None, 0, 0.004, 0.5, 9.96, 42.4, 9999, 12_345, 1_234_567],
            NONE + " 0 0.00 0.5 10 42 9999 12.3k 1.2M",
        ),
        ("percent", [None, 0, 0.004, 0.0999, 0.5, 1], NONE + " 0_% 0.4_% 10_% 50_% 100_%"),
        (
            "seconds",
            [None, 0, 0.0004, 0.0042, 0.42, 4.2, 42, 90],
            NONE + " 0_ms 0.40_ms 4.2_ms 420_ms 4.2_s 42_s 1_min_30_s",
        ),
        ("length", [-1, 0.4, 59.4, 61, 3700, 90_000], "0_s 0_s 59_s 1_min_1_s 1_h_1_min 1_d_1_h"),
        ("per", [1, 60, 3600, 86400, 90], "second minute hour day 1_min_30_s"),
    ],
)
def test_numbers_are_short(ask: Ask, how: str, values: list[float | None], written: str) -> None:
    assert [text.replace(" ", "_") for text in ask("written", [how, values])] == written.split()


def told(pulses: Sequence[tuple[float, float, dict[str, Any]]], **more: Any) -> dict[str, Any]:
    return {"pulses": pulses, "gaps": [], **more}


def test_a_rate_is_that_of_the_last_ten_seconds(ask: Ask) -> None:
    pulses = [(second, 1.0, {"shop": numbers(6 * (second == 2))}) for second in range(13)]
    kept = ask("history", told(pulses))
    assert kept["times"] == list(range(13))
    assert kept["routes"]["shop"]["rate"] == pytest.approx([0, 0, 2, 1.5, 1.2, 1, 6 / 7, 0.75, 2 / 3, 0.6, 0.6, 0.6, 0])


def test_errors_are_a_share_of_the_calls_there_were(ask: Ask) -> None:
    first, then = numbers(4, errors=1), numbers(6, errors=4)
    kept = ask("history", told([(0, 1.0, {"shop": first}), (1, 1.0, {"shop": then}), (2, 1.0, {})]))
    assert kept["routes"]["shop"]["errors"] == pytest.approx([0.25, 0.5, 0.5])
    quiet = ask("history", told([(0, 1.0, {"shop": numbers()})]))
    assert quiet["routes"]["shop"]["errors"] == [None]


def test_of_a_route_that_is_not_told_the_calls_are_known_and_the_times_are_not(ask: Ask) -> None:
    kept = ask("history", told([(0, 1.0, {"shop": numbers(2, p50=0.5)}), (1, 1.0, {})]))
    assert kept["routes"]["shop"]["rate"] == [2, 1]
    assert kept["routes"]["shop"]["p50"] == [0.5, None]


def test_what_was_before_a_break_of_the_line_is_not_now(ask: Ask) -> None:
    kept = ask("history", told([(0, 1.0, {"shop": numbers(8)}), (9, 1.0, {"shop": numbers(2)})], gaps=[9]))
    assert kept["times"] == [0, 8.5, 9]
    assert kept["routes"]["shop"]["rate"] == [8, None, 2]


def test_only_the_last_minutes_are_kept_and_only_of_routes_that_are_there(ask: Ask) -> None:
    pulses = [
        (second, 1.0, {"": numbers(9), "a": numbers(1), "b": numbers(5), "c": numbers(3)}) for second in range(400)
    ]
    kept = ask("history", told(pulses, forget=["a", "c"]))
    assert kept["times"] == list(range(100, 400))
    assert sorted(kept["routes"]) == ["", "a", "c"]
    assert kept["busiest"] == ["a", "c"]


def model(ask: Ask, *said: tuple[str, Any], route: str = "shop") -> Any:
    return ask("model", {"said": said, "route": route})


def test_only_what_has_changed_comes_and_null_is_gone(ask: Ask) -> None:
    first = pulse(breakers={"a": {"state": "open"}, "b": {"state": "closed"}})
    then = pulse(START + 1, breakers={"a": None, "c": {"state": "closed"}})
    assert model(ask, ("pulse", first), ("pulse", then))["breakers"] == ["b", "c"]
    # The first pulse of another line is whole.
    assert model(ask, ("pulse", first), ("opened", 0), ("pulse", then))["breakers"] == ["c"]


def test_rates_are_taken_over_ten_seconds_and_times_as_they_are_told(ask: Ask) -> None:
    minute = {**pulse(routes={"shop": numbers(600, serving={"a": 600})}), "seconds": 60.0}
    seconds = [
        pulse(START + at, routes={"shop": numbers(3, p95=0.1 * at, inflight=at, serving={"b": 3})}) for at in (1, 2)
    ]
    alone = model(ask, ("pulse", minute))
    assert (alone["numbers"]["calls"], alone["serving"]) == (10, {"a": 10})
    later = model(ask, *(("pulse", one) for one in (minute, *seconds)))
    assert (later["numbers"]["calls"], later["serving"]) == (3, {"b": 3})
    assert (later["numbers"]["p95"], later["numbers"]["inflight"]) == (0.2, 2)


def test_a_call_that_is_told_twice_is_there_once_and_the_newest_comes_first(ask: Ask) -> None:
    calls = [call(number, START + number) for number in range(4)]
    known = model(ask, ("calls", calls[1:3]), ("pulse", pulse(calls=calls[2:])), ("calls", calls[:2]))
    assert known["calls"] == ["call-3", "call-2", "call-1", "call-0"]


def test_calls_without_a_route_have_a_row_too(ask: Ask) -> None:
    said = ("state", state(routes=[route("shop", "shop")])), ("pulse", pulse(routes={"_none": numbers(1)}))
    assert model(ask, *said)["routes"] == ["shop", "_none"]
