"""The text in documents of both dialects, whatever stands in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cli.llm.said import how_it_ended, reason_of, text_of_answer, text_of_event
from sidecar.llm import Dialect

OPENAI, ANTHROPIC = Dialect.OPENAI, Dialect.ANTHROPIC
NAMES = st.sampled_from(
    ["choices", "delta", "message", "content", "refusal", "type", "text", "index", "content_block", "stop_reason"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def chunk(delta: Any, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta}]}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (chunk({"content": "Hi"}), "Hi"),
        (chunk({"content": None, "refusal": "No"}), "No"),
        (chunk({"content": [{"type": "thinking"}, {"type": "text", "text": "Hi"}]}), "Hi"),
        (chunk({"content": "other"}, index=1), ""),
        (chunk({"tool_calls": []}), ""),
        ({"choices": [], "usage": {}}, ""),
        ({}, ""),
    ],
)
def test_chunks_of_chat_completions(document: dict[str, Any], text: str) -> None:
    assert text_of_event(document, OPENAI) == text


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}}, "Hi"),
        ({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm"}}, ""),
        ({"type": "content_block_start", "content_block": {"type": "text", "text": "Hi"}}, "Hi"),
        ({"type": "content_block_start", "content_block": {"type": "tool_use"}}, ""),
        ({"type": "ping"}, ""),
    ],
)
def test_events_of_messages(document: dict[str, Any], text: str) -> None:
    assert text_of_event(document, ANTHROPIC) == text


@pytest.mark.parametrize(
    ("document", "dialect", "text"),
    [
        ({"choices": [{"message": {"content": "Hi"}}]}, OPENAI, "Hi"),
        ({"choices": [{"message": {"content": None, "refusal": "No"}}]}, OPENAI, "No"),
        ({"choices": [{"message": {"content": None}}]}, OPENAI, ""),
        ({"object": "list"}, OPENAI, None),
        ({"content": [{"type": "text", "text": "A"}, {"type": "x"}, {"type": "text", "text": "B"}]}, ANTHROPIC, "AB"),
        ({"content": []}, ANTHROPIC, ""),
        ({"data": []}, ANTHROPIC, None),
    ],
)
def test_whole_answers(document: dict[str, Any], dialect: Dialect, text: str | None) -> None:
    assert text_of_answer(document, dialect) == text


@pytest.mark.parametrize(
    ("document", "dialect", "reason"),
    [
        ({"choices": [{"finish_reason": "length"}]}, OPENAI, "length"),
        ({"choices": [{"finish_reason": None}]}, OPENAI, ""),
        ({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}}, ANTHROPIC, "max_tokens"),
        ({"content": [], "stop_reason": "end_turn"}, ANTHROPIC, "end_turn"),
    ],
)
def test_why_it_ended(document: dict[str, Any], dialect: Dialect, reason: str) -> None:
    assert reason_of(document, dialect) == reason


def test_how_it_ended() -> None:
    assert how_it_ended("text", "stop") == how_it_ended("text", "") == ""
    assert how_it_ended("text", "max_tokens") == how_it_ended("", "length") == "cut at its limit of tokens"
    assert how_it_ended("text", "refusal") == "ended by a content filter"
    assert how_it_ended("", "end_turn") == "without text"


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.sampled_from(Dialect))
def test_anything_is_read(document: dict[str, Any], dialect: Dialect) -> None:
    assert isinstance(text_of_event(document, dialect), str)
    assert isinstance(text_of_answer(document, dialect), str | None)
    assert isinstance(reason_of(document, dialect), str)
