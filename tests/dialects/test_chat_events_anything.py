"""Anthropic streams that nobody thought of: what was said arrives, and nothing crashes the translator."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.chat_events import ChatEvents
from sidecar.dialects.translated import BadEvent
from tests.kit.llm_events import damaged, documents, unnamed
from tests.kit.messages import message, messages, streamed, text, thinking, tool_use

if TYPE_CHECKING:
    from sidecar.llm import Document

WHOLE = message(thinking("Hm."), text("I look."), tool_use("look", {"a": [1]}), tool_use("now", {}, "toolu_2"))


def told(events: list[Document]) -> list[Any]:
    translator = ChatEvents(created=7, usage_asked=True)
    return unnamed(b"".join(map(translator.feed, events)) + translator.end())


@given(messages(), st.integers(1, 9))
def test_text_calls_order_and_usage_arrive(whole: Document, size: int) -> None:
    *chunks, usage, done = told(streamed(whole, size=size))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert done == "[DONE]"
    assert "".join(delta.get("content") or "" for delta in deltas) == "".join(
        block["text"] for block in whole["content"] if block["type"] == "text"
    )
    calls: dict[int, Document] = {}
    for call in [call for delta in deltas for call in delta.get("tool_calls", [])]:
        calls.setdefault(call["index"], {**call, "given": ""})["given"] += call["function"]["arguments"]
    assert [(call["id"], call["function"]["name"], json.loads(call["given"])) for call in calls.values()] == [
        (block["id"], block["name"], block["input"]) for block in whole["content"] if block["type"] == "tool_use"
    ]
    assert list(calls) == list(range(len(calls)))
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][:-1] == [None] * (len(chunks) - 1)
    counts = whole["usage"]
    assert usage["usage"]["prompt_tokens"] == counts["input_tokens"] + sum(
        counts.get(f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation")
    )
    assert usage["usage"]["completion_tokens"] == counts["output_tokens"]


@given(st.lists(documents, max_size=6))
def test_anything_is_translated_or_refused(events: list[Document]) -> None:
    with contextlib.suppress(BadEvent):
        told(events)


@given(damaged(streamed(WHOLE)))
def test_a_stream_with_something_wrong_in_it_is_translated_or_refused(events: list[Document]) -> None:
    with contextlib.suppress(BadEvent):
        told(events)
