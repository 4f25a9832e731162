"""What a provider says without end."""

from __future__ import annotations

import pytest

from sidecar.dialects.chat_events import ChatEvents
from sidecar.dialects.kept import BLOCK, LONGEST, Kept
from sidecar.dialects.response_events import ResponseEvents
from sidecar.dialects.translated import BadEvent
from tests.kit.llm_events import block, gives, says, start, stop, tool

PIECE = "x" * 1_000_000


def test_as_much_as_allowed_is_kept_and_no_byte_more() -> None:
    kept = Kept()
    kept.count(LONGEST)
    kept.count(-10)
    kept.count(10)
    with pytest.raises(BadEvent, match="more than 8388608 bytes"):
        kept.count(1)


@pytest.mark.parametrize("translator", [ChatEvents(created=0, usage_asked=False), ResponseEvents({}, created=0)])
def test_blocks_without_end_break_the_stream(translator: ChatEvents | ResponseEvents) -> None:
    translator.feed(start())
    endless = (tool(number, "toolu_1", "f") for number in range(LONGEST // BLOCK + 1))
    with pytest.raises(BadEvent, match="bytes"):
        b"".join(map(translator.feed, endless))


def test_inputs_told_when_their_blocks_start_are_counted() -> None:
    events = ChatEvents(created=0, usage_asked=False)
    events.feed(start())
    endless = (block(number, "tool_use", id="toolu_1", name="f", input={"x": PIECE}) for number in range(9))
    with pytest.raises(BadEvent, match="bytes"):
        b"".join(map(events.feed, endless))


def test_the_text_of_a_response_is_told_again_at_its_end() -> None:
    """So it is kept, and of texts without end that is the end."""
    events = ResponseEvents({}, created=0)
    events.feed(start())
    events.feed(block(0))
    for _ in range(8):
        events.feed(says(0, PIECE))
    with pytest.raises(BadEvent, match="bytes"):
        events.feed(says(0, PIECE))


def test_so_are_the_arguments_of_its_calls() -> None:
    events = ResponseEvents({}, created=0)
    events.feed(start())
    for number in range(8):
        events.feed(tool(number, "toolu_1", "f"))
        events.feed(gives(number, PIECE))
        events.feed(stop(number))
    events.feed(tool(8, "toolu_1", "f"))
    with pytest.raises(BadEvent, match="bytes"):
        events.feed(gives(8, PIECE))


def test_a_chat_keeps_nothing_of_what_it_has_said() -> None:
    events = ChatEvents(created=0, usage_asked=False)
    events.feed(start())
    events.feed(block(0))
    for _ in range(10):
        assert events.feed(says(0, PIECE))
