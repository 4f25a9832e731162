"""Chat streams that nobody thought of: what was said arrives, and nothing crashes the translator."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.chat_events import ChatEvents
from sidecar.dialects.message_events import MessageEvents
from sidecar.dialects.translated import BadEvent
from tests.kit.llm_events import calls, chunk, damaged, documents, named, unnamed
from tests.kit.messages import messages, streamed

if TYPE_CHECKING:
    from sidecar.llm import Document

PARALLEL = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "I look."}),
    calls(0, "", id="a", name="n"),
    calls(1, "", id="b", name="m"),
    calls(0, '{"x":'),
    calls(1, '{"y":2}'),
    calls(0, "1}"),
    chunk({"content": "Wait."}),
    chunk({}, "tool_calls"),
    chunk(usage={"prompt_tokens": 10, "completion_tokens": 5}),
]


def told(chunks: list[Document]) -> list[Document]:
    translator = MessageEvents()
    return [event for _, event in named(b"".join(map(translator.feed, chunks)) + translator.end())]


def content_of(events: list[Document]) -> list[tuple[Document, str]]:
    """Each block of the message and what was said of it, put together by the rules that Anthropic's clients follow."""
    blocks: list[tuple[Document, str]] = []
    is_open = False
    for event in events:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            blocks.append((event["content_block"], ""))
            is_open = True
        elif event["type"] == "content_block_delta":
            assert is_open
            assert event["index"] == len(blocks) - 1
            block, before = blocks[-1]
            blocks[-1] = block, before + event["delta"]["text" if block["type"] == "text" else "partial_json"]
        elif event["type"] == "content_block_stop":
            assert event["index"] == len(blocks) - 1
            is_open = False
    assert not is_open
    return blocks


@given(messages(), st.integers(1, 9))
def test_there_and_back_text_calls_order_and_usage_are_the_same(whole: Document, size: int) -> None:
    there = ChatEvents(created=7, usage_asked=True)
    chunks = unnamed(b"".join(map(there.feed, streamed(whole, size=size))) + there.end())
    events = told(chunks[:-1])
    due: list[Any] = []
    for block in whole["content"]:
        if block["type"] == "tool_use":
            due.append((block["id"], block["name"], block["input"]))
        elif block["type"] == "text" and block["text"]:
            if due and isinstance(due[-1], str):
                due[-1] += block["text"]  # two texts of a completion are one
            else:
                due.append(block["text"])
    assert [
        said if block["type"] == "text" else (block["id"], block["name"], json.loads(said or "{}"))
        for block, said in content_of(events)
    ] == due
    end = events[-2]
    counts = {key: value or 0 for key, value in whole["usage"].items()}
    assert {key: end["usage"][key] for key in counts} == counts
    assert events[0]["message"]["id"] == whole["id"]
    explained = (whole["stop_details"] or {}).get("explanation")
    assert (end["delta"].get("stop_details") or {}).get("explanation") == (explained or None)
    if whole["stop_reason"] in {"refusal", "max_tokens", "tool_use"}:
        assert end["delta"]["stop_reason"] == whole["stop_reason"]


@given(st.lists(documents, max_size=6))
def test_anything_is_translated_or_refused(chunks: list[Document]) -> None:
    with contextlib.suppress(BadEvent):
        told(chunks)


@given(damaged(PARALLEL))
def test_a_stream_with_something_wrong_in_it_is_translated_or_refused(chunks: list[Document]) -> None:
    with contextlib.suppress(BadEvent):
        content_of(told(chunks))


PARTS = {
    "a": [calls(0, "", id="a", name="n"), calls(0, '{"x":'), calls(0, "1}")],
    "b": [calls(1, "", id="b", name="m"), calls(1, '{"y":{}'), calls(1, ',"z":2}')],
    "c": [chunk({"content": "Wa"}), chunk({"content": "it."})],
}


@given(st.permutations("aaabbbcc"))
def test_whatever_comes_between_what_all_of_it_is_said(turns: list[str]) -> None:
    parts = {name: iter(chunks) for name, chunks in PARTS.items()}
    content = content_of(told([*(next(parts[name]) for name in turns), *PARALLEL[-2:]]))
    assert "".join(said for block, said in content if block["type"] == "text") == "Wait."
    assert {block["id"]: said for block, said in content if block["type"] == "tool_use"} == {
        "a": '{"x":1}',
        "b": '{"y":{},"z":2}',
    }
