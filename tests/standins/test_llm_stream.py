"""What faults make of a stream's events, without a socket."""

from __future__ import annotations

import json

import pytest

from sidecar.standins.llm_faults import HEALTHY, Fault, Kind
from sidecar.standins.llm_stream import Event, Stage, spoilt, token_place, written

EVENTS = [
    Event({"type": "start", "message": {"usage": {"input_tokens": 1}}}, "start"),
    Event({"type": "delta"}, "delta", Stage.TOKEN),
    Event({"type": "delta"}, "delta", Stage.TOKEN),
    Event({"type": "why", "usage": {"output_tokens": 2}}, "why", Stage.FINISH),
    Event({"type": "cost", "usage": {"output_tokens": 2}}, "cost", Stage.USAGE),
    Event(b"[DONE]", "", Stage.END),
]
ERROR = Event({"error": "no"}, "error")


@pytest.mark.parametrize(("tokens", "place"), [(0, 1), (1, 2), (2, 3), (3, 6), (99, 6)])
def test_a_place_is_behind_so_many_tokens(tokens: int, place: int) -> None:
    assert token_place(EVENTS, tokens) == place


def test_a_place_in_a_stream_without_tokens_is_its_end() -> None:
    assert token_place(EVENTS[:1], 0) == 1


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (Kind.NONE, ["start", "delta", "delta", "why", "cost", ""]),
        (Kind.NO_DONE, ["start", "delta", "delta", "why", "cost"]),
        (Kind.NO_DONE_OPEN, ["start", "delta", "delta", "why", "cost"]),
        (Kind.NO_FINISH, ["start", "delta", "delta", "cost", ""]),
        (Kind.MALFORMED, ["start", "delta", "delta", "delta", "why", "cost", ""]),
        (Kind.ERROR_FIRST, ["error"]),
        (Kind.ERROR_INSIDE, ["start", "delta", "error"]),
        (Kind.EMPTY, []),
        (Kind.NAMELESS, ["", "", "", "", "", ""]),
        (Kind.USAGE_NEVER, ["start", "delta", "delta", "why", ""]),
        (Kind.USAGE_NULL, ["start", "delta", "delta", "why", ""]),
        (Kind.USAGE_EACH, ["start", "delta", "delta", "why", "cost", ""]),
    ],
)
def test_a_fault_takes_events_away_or_adds_one(kind: Kind, left: list[str]) -> None:
    assert [event.name for event in spoilt(EVENTS, Fault(kind, tokens=1), ERROR, None)] == left


def test_usage_is_taken_out_wherever_it_stands() -> None:
    for kind, expected in ((Kind.USAGE_NEVER, b"usage"), (Kind.USAGE_NULL, b'"usage":{')):
        events = spoilt(EVENTS, Fault(kind), ERROR, None)
        assert not any(expected in written(event, HEALTHY) for event in events)
    assert EVENTS[0].data == {"type": "start", "message": {"usage": {"input_tokens": 1}}}, "the original stays"


def test_usage_on_each_event_grows_to_all_of_it() -> None:
    events = spoilt(EVENTS, Fault(Kind.USAGE_EACH), ERROR, {"input_tokens": 1, "output_tokens": 2})
    told = [event.data["usage"]["output_tokens"] for event in events if isinstance(event.data, dict)]
    assert told == [0, 1, 2, 2, 2]


def test_an_error_inside_has_the_next_number_where_events_have_one() -> None:
    numbered = Event({"type": "error", "sequence_number": 0}, "error")
    [*_, last] = spoilt(EVENTS, Fault(Kind.ERROR_INSIDE, tokens=1), numbered, None)
    assert last.data == {"type": "error", "sequence_number": 2}


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.NONE, b'event: a\ndata: {"b":1}\n\n'),
        (Kind.CRLF, b'event: a\r\ndata: {"b":1}\r\n\r\n'),
        (Kind.COMMENTS, b': keep-alive\n\n:\n\nevent: a\ndata: {"b":1}\n\n'),
        (Kind.LINES, b'event: a\ndata:{\ndata: "b": 1\ndata:}\n\n'),
    ],
)
def test_an_event_is_written_in_the_way_of_the_fault(kind: Kind, text: bytes) -> None:
    assert written(Event({"b": 1}, "a"), Fault(kind)) == text


def test_half_of_a_pair_is_written_as_an_escape() -> None:
    data = written(Event({"b": "\ud83d"}), HEALTHY).removeprefix(b"data: ")
    assert json.loads(data) == {"b": "\ud83d"}
