"""Events out of a stream of bytes: every line end, every cut."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.dialects.sse import Event, Splitter


def split(*chunks: bytes) -> tuple[list[Event], bytes]:
    splitter = Splitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return events, splitter.rest


def one_by_one(stream: bytes) -> tuple[list[Event], bytes]:
    return split(*(stream[at : at + 1] for at in range(len(stream))))


def read(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Name and data of each event that has any data."""
    events, _ = split(stream)
    return [(event.name, event.data) for event in events if event.data]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [(b"", b"a")]),
        (b"data:a\n\n", [(b"", b"a")]),
        (b"data:  a\n\n", [(b"", b" a")]),
        (b"event: ping\ndata: {}\n\n", [(b"ping", b"{}")]),
        (b"event:ping\ndata:{}\n\n", [(b"ping", b"{}")]),
        (b"data: {}\nevent: ping\n\n", [(b"ping", b"{}")]),
        (b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
        (b"data\ndata: b\n\n", [(b"", b"\nb")]),
        (b"id: 7\nretry: 10\ndata: a\n\n", [(b"", b"a")]),
        (b"datas: no\nxdata: no\n data: no\ndata: a\n\n", [(b"", b"a")]),
        (b"data: a:b\n\n", [(b"", b"a:b")]),
        (b"event: a\nevent: b\ndata: c\n\n", [(b"b", b"c")]),
        (b"event: a\n\ndata: b\n\n", [(b"", b"b")]),
        # Line ends.
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"", b"a"), (b"", b"b")]),
        (b"data: a\r\rdata: b\r\r", [(b"", b"a"), (b"", b"b")]),
        (b"data: a\rdata: b\n\n", [(b"", b"a\nb")]),
        (b"data: a\n\r\ndata: b\r\n\n", [(b"", b"a"), (b"", b"b")]),
        (b"data: a\n\rdata: b\r\n\rdata: c\n\n", [(b"", b"a"), (b"", b"b"), (b"", b"c")]),
        (b"data: a\r\r\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
        # Only \n, \r and \r\n end a line; text has more that look like it.
        (b"data: a\x0bb\x0cc\xe2\x80\xa8d\x1ee\xc2\x85f\r\n\r\n", [(b"", b"a\x0bb\x0cc\xe2\x80\xa8d\x1ee\xc2\x85f")]),
        # A byte order mark, at the start only.
        (b"\xef\xbb\xbfdata: a\n\n", [(b"", b"a")]),
        (b"\xef\xbb\xbf\ndata: a\n\n", [(b"", b"a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [(b"", b"a")]),
    ],
)
def test_an_event_is_read_in_any_shape(stream: bytes, events: list[tuple[bytes, bytes]]) -> None:
    assert read(stream) == events
    whole, rest = split(stream)
    assert one_by_one(stream) == (whole, rest)
    assert rest == b""


@pytest.mark.parametrize(
    "block", [b": keep-alive\n\n", b"data:\n\n", b"data: \n\n", b"data\n\n", b"event: ping\n\n", b"\n", b"\r\n"]
)
def test_a_block_without_data_is_an_event_without_data(block: bytes) -> None:
    events, rest = split(block + b"data: a\n\n")
    assert [(event.data, event.raw) for event in events] == [(b"", block), (b"a", b"data: a\n\n")]
    assert rest == b""


def test_what_is_torn_off_is_the_rest() -> None:
    events, rest = split(b"data: a\n\ndata: b\n")
    assert [event.data for event in events] == [b"a"]
    assert rest == b"data: b\n"


def test_a_carriage_return_at_the_end_of_a_chunk_waits_for_its_line_feed() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\r\n\r") == []
    assert splitter.feed(b"\ndata: b\r\n") == [Event(b"", b"a", b"data: a\r\n\r\n")]
    assert splitter.rest == b"data: b\r\n"
    assert splitter.waiting == len(splitter.rest)


def test_the_last_event_of_a_stream_with_carriage_returns_alone_is_not_held_back() -> None:
    assert split(b"data: [DONE]\r\r") == ([Event(b"", b"[DONE]", b"data: [DONE]\r\r")], b"")


def test_an_event_of_megabytes_in_small_chunks_is_not_copied_over_and_over() -> None:
    text = b"x" * 16_000_000
    stream = b"data: " + text + b"\n\n"
    splitter = Splitter()
    began = time.process_time()
    events = [e for at in range(0, len(stream), 1000) for e in splitter.feed(stream[at : at + 1000])]
    assert [len(event.data) for event in events] == [len(text)]
    assert time.process_time() - began < 2  # 0.1 s; copied with each chunk it would be 128 GB


LINES = st.sampled_from(
    [
        *(b"data: a", b"data:b", b"data: ", b"data", b"event: e", b"event:f", b": c", b"id: 1", b"nonsense"),
        *(b"", b"", b"\xef\xbb\xbf", b'data: {"a":"\xf0\x9f\x98\x80"}'),
    ]
)
STREAMS = st.one_of(
    st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
        lambda lines: b"".join(line + end for line, end in lines)
    ),
    st.text("\n\r: adet\ufeff").map(str.encode),
    st.binary(),
)


@given(STREAMS, st.lists(st.integers(0, 400)))
@example(b"a\n\r\r", [3])
@example(b"\r\r\n", [1])
@example(b"data: a\n\n", [])
def test_any_cut_yields_the_same_events(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(edges)]
    events, rest = split(*chunks)
    assert (events, rest) == split(stream) == one_by_one(stream)
    assert b"".join(event.raw for event in events) + rest == stream


def by_the_book(stream: bytes) -> list[tuple[bytes, bytes]]:
    """The standard's own algorithm, line by line; an event without data is not dispatched."""
    found = []
    name, data = b"", list[bytes]()
    for line in stream.removeprefix(b"\xef\xbb\xbf").splitlines():
        if not line:
            if b"\n".join(data):
                found.append((name, b"\n".join(data)))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return found


@given(STREAMS)
def test_the_events_are_those_of_the_standard(stream: bytes) -> None:
    _, rest = split(stream)
    assert read(stream) == by_the_book(stream[: len(stream) - len(rest)])
