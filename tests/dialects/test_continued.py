"""The text of one answer that several streams made: nothing is said twice, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.continued import Continued
from sidecar.llm import Kind
from tests.kit.llm_events import block, chunk, named, says, start, unnamed

if TYPE_CHECKING:
    from sidecar.llm import Document

KINDS = [Kind.CHAT, Kind.COMPLETIONS, Kind.MESSAGES]


def stream(kind: Kind, pieces: list[str]) -> list[Document]:
    """A stream that says these pieces, and breaks."""
    if kind is Kind.MESSAGES:
        return [start(), block(0), *(says(0, piece) for piece in pieces)]
    if kind is Kind.COMPLETIONS:
        return [{"id": "cmpl-1", "choices": [{"index": 0, "text": piece, "finish_reason": None}]} for piece in pieces]
    return [chunk({"role": "assistant", "content": ""}), *(chunk({"content": piece}) for piece in pieces)]


def heard(kind: Kind, out: bytes) -> str:
    if kind is Kind.MESSAGES:
        return "".join(event["delta"]["text"] for _, event in named(out))
    choices: list[Any] = [choice for event in unnamed(out) for choice in event["choices"]]
    return "".join(choice["text"] if kind is Kind.COMPLETIONS else choice["delta"]["content"] for choice in choices)


def joined(kind: Kind, *streams: list[str]) -> tuple[str, list[str]]:
    """What the caller has heard when the last one has broken, too; and what each target but the first was sent."""
    continued = Continued(kind)
    for event in stream(kind, streams[0]):
        continued.first(event)
    got = read = "".join(streams[0])
    sent = []
    for pieces in streams[1:]:
        sent.append(continued.prefix(read))
        got += heard(kind, b"".join(map(continued.feed, stream(kind, pieces))))
        read += "".join(pieces)
    return got, sent


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("before", "sent", "behind", "got"),
    [
        ("One,", "One,", [" two"], "One, two"),
        ("One, ", "One,", ["two"], "One, two"),
        ("One, ", "One,", [" two"], "One, two"),
        ("One.\n\n", "One.", ["Two."], "One.\n\nTwo."),
        ("One.\n\n", "One.", ["\n", "\nTwo."], "One.\n\nTwo."),
        ("One.\n\n", "One.", ["\n", "Two."], "One.\n\nTwo."),
        ("One.\n", "One.", ["\n\nTwo."], "One.\n\nTwo."),
        ("One. ", "One.", ["\nTwo."], "One. \nTwo."),
        ("f():\n", "f():", ["\n", "    ", "return"], "f():\n    return"),
        ("f():\n  ", "f():", ["\n    return"], "f():\n    return"),
        ("One ", "One", ["", " ", "", "two", "  ", "three"], "One two  three"),
        ("One", "One", ["One"], "OneOne"),
        (" \n", "", [" \n", "One"], " \nOne"),
        ("", "", ["One"], "One"),
        ("One ", "One", [], "One "),
    ],
)
def test_blanks_between_two_streams(kind: Kind, before: str, sent: str, behind: list[str], got: str) -> None:
    assert joined(kind, [before], behind) == (got, [sent])


@pytest.mark.parametrize("kind", KINDS)
def test_a_continuation_that_breaks_is_continued_again(kind: Kind) -> None:
    assert joined(kind, ["One, "], [" two, "], [], ["\n"], ["three"]) == (
        "One, two, \nthree",
        ["One,", "One, two,", "One, two,", "One, two,"],
    )


pieces_ = st.lists(st.text(" \na", max_size=3), max_size=4)


@given(st.sampled_from(KINDS), st.lists(pieces_, min_size=1, max_size=4))
def test_whatever_is_said_only_blanks_where_two_streams_meet_are_left_out(kind: Kind, streams: list[list[str]]) -> None:
    got, sent = joined(kind, *streams)
    said = ["".join(pieces) for pieces in streams]
    assert got.replace(" ", "").replace("\n", "") == "".join(said).replace(" ", "").replace("\n", "")
    for prefix in sent:
        assert got.startswith(prefix)
        assert prefix == prefix.rstrip()
    if all(text and not text[-1].isspace() for text in said):
        assert got == "".join(said)


@given(st.sampled_from(KINDS), st.text(" \na", max_size=6), st.text(" \na", max_size=6), st.data())
def test_it_does_not_matter_where_the_pieces_end(kind: Kind, before: str, behind: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(behind)))
    assert joined(kind, [before], [behind[:cut], behind[cut:]]) == joined(kind, [before], [behind])
