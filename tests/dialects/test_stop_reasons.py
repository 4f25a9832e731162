"""Why an answer ended, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.stop_reasons import explanation_of, to_finish_reason, to_stop_reason

anything = (
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())
)


@pytest.mark.parametrize(
    ("said", "due"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("a new one", "stop"),
    ],
)
def test_from_anthropic(said: str, due: str) -> None:
    assert to_finish_reason(said, tools=False) == due


@pytest.mark.parametrize(
    ("said", "due"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
        ("content_filter", "refusal"),
        ("a new one", "end_turn"),
    ],
)
def test_from_openai(said: str, due: str) -> None:
    assert to_stop_reason(said, tools=False) == due


def test_an_answer_that_calls_tools_and_says_stop_has_ended_to_call_them() -> None:
    assert to_stop_reason("stop", tools=True) == "tool_use"
    assert to_finish_reason("end_turn", tools=True) == "tool_calls"


def test_one_that_was_cut_short_while_it_called_tools_says_so() -> None:
    assert to_stop_reason("length", tools=True) == "max_tokens"
    assert to_finish_reason("max_tokens", tools=True) == "length"


def test_a_refusal_may_explain_itself() -> None:
    assert explanation_of("refusal", {"type": "refusal", "explanation": "Not this."}) == "Not this."
    assert explanation_of("refusal", {"type": "refusal", "explanation": None}) is None
    assert explanation_of("refusal", None) is None
    assert explanation_of("end_turn", {"explanation": "Not this."}) is None


@given(anything, anything, st.booleans())
def test_anything_gives_a_reason(reason: object, details: object, tools: bool) -> None:
    assert to_finish_reason(reason, tools=tools)
    assert to_stop_reason(reason, tools=tools)
    explanation_of(reason, details)
