"""What a stand-in model says of itself."""

from __future__ import annotations

import pytest

from sidecar.standins.llm_answers import Part, Text, Thinking, ToolCall
from sidecar.standins.llm_model import Question, own_answer

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}


def text(*deltas: str) -> Text:
    return Text(deltas)


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (Question("hi you"), [text("You", " said:", " hi", " you")]),
        (Question("hi", told="rain"), [text("The", " tool", " said:", " rain")]),
        (Question("hi", begun="You said:"), [text(" hi")]),
        (Question("hi", begun="I think"), [text("You", " said:", " hi")]),
        (Question("hi", begun="You said: hi"), [text(" That", " is", " all.")]),
        (Question("hi", thinks=True), [Thinking("The caller said: hi"), text("You", " said:", " hi")]),
        (Question("hi", schema=CITY), [text('{"city":', ' "city"}')]),
        (Question("hi", json=True), [text("{}")]),
        (Question("hi", tools={"a": CITY}), [ToolCall("a", {"city": "city"})]),
        (Question("b, a", tools={"a": CITY, "b": {}, "x": {}}), [ToolCall("a", {"city": "city"}), ToolCall("b")]),
        (Question("b, a", tools={"a": {}, "b": {}}, parallel=False), [ToolCall("a")]),
        (Question("hi", tools={"a": {}}, told="rain"), [text("The", " tool", " said:", " rain")]),
        (Question("hi", tools={"a": {}, "b": {}}, told="rain", forced="*"), [ToolCall("a")]),
        (Question("hi", tools={"a": {}, "b": {}}, forced="b"), [ToolCall("b")]),
    ],
)
def test_it_says_the_same_to_the_same_question(question: Question, parts: list[Part]) -> None:
    assert own_answer(question).parts == parts
