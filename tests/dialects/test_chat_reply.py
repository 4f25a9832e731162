"""Anthropic's answers as chat completions, each as OpenAI's own SDK reads it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from sidecar.dialects.chat_reply import to_completion
from sidecar.dialects.tool_ids import to_anthropic_id
from sidecar.dialects.translated import BadEvent

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["type", "id", "content", "stop_reason", "stop_details", "usage", "model", "text", "input"])
WORDS = st.sampled_from(["message", "text", "tool_use", "thinking", "refusal", "end_turn", "name"])


def message(*content: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_01X",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-20250514",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 7},
        **more,
    }


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool(tool_id: str = "toolu_1", name: str = "read", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": tool_id, "name": name, "input": given}


def completed(answer: dict[str, Any]) -> ChatCompletion:
    return ChatCompletion.model_validate(to_completion(answer, created=1_700_000_000), strict=True)


def test_an_answer() -> None:
    assert to_completion(message(text("Hi.")), created=1_700_000_000) == {
        "id": "chatcmpl-01X",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "claude-sonnet-4-20250514",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 25,
            "completion_tokens": 7,
            "total_tokens": 32,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        },
    }


def test_texts_are_one_content_and_tool_uses_are_calls_in_order() -> None:
    said = completed(
        message(
            text("First, "), tool("toolu_1", path="a"), text("then."), tool("toolu_2", "list"), stop_reason="tool_use"
        )
    )
    assert said.choices[0].finish_reason == "tool_calls"
    assert said.choices[0].message.content == "First, then."
    assert [call.model_dump(exclude_none=True) for call in said.choices[0].message.tool_calls or []] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "read", "arguments": '{"path":"a"}'}},
        {"id": "toolu_2", "type": "function", "function": {"name": "list", "arguments": "{}"}},
    ]


def test_content_is_null_when_there_are_only_tool_calls() -> None:
    assert completed(message(tool(), stop_reason="tool_use")).choices[0].message.content is None


def test_content_is_empty_when_nothing_was_said() -> None:
    assert completed(message()).choices[0].message.content == ""


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("a_new_one", "stop"),
        (None, "stop"),
    ],
)
def test_why_it_ended(stop_reason: str | None, finish_reason: str) -> None:
    assert completed(message(text("Hi."), stop_reason=stop_reason)).choices[0].finish_reason == finish_reason


def test_a_refusal_is_an_answer_with_its_explanation() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "That would do harm."}
    said = completed(message(stop_reason="refusal", stop_details=details)).choices[0]
    assert (said.finish_reason, said.message.content, said.message.refusal) == (
        "content_filter",
        None,
        "That would do harm.",
    )


def test_what_was_said_before_a_refusal_stays() -> None:
    said = completed(message(text("Well, "), stop_reason="refusal", stop_details=None)).choices[0]
    assert (said.message.content, said.message.refusal) == ("Well, ", None)


def test_the_prompt_counts_what_the_cache_did() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 30,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    told = completed(message(text("Hi."), usage=usage)).usage
    assert told is not None
    assert (told.prompt_tokens, told.completion_tokens, told.total_tokens) == (240, 7, 247)
    assert told.prompt_tokens_details is not None
    assert (told.prompt_tokens_details.cached_tokens, told.prompt_tokens_details.cache_write_tokens) == (200, 30)
    assert told.completion_tokens_details is not None
    assert told.completion_tokens_details.reasoning_tokens == 5


@pytest.mark.parametrize("usage", [None, {}, "seven"])
def test_usage_that_nobody_told_is_not_made_up(usage: object) -> None:
    assert completed(message(text("Hi."), usage=usage)).usage is None


def test_thinking_is_left_out() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    said = completed(message(thinking, {"type": "redacted_thinking", "data": "eA=="}, text("Hi.")))
    assert said.choices[0].message.content == "Hi."


def test_a_tool_id_that_was_spelled_for_anthropic_is_itself_again() -> None:
    answer = message(tool(to_anthropic_id("functions.Read:0")), stop_reason="tool_use")
    assert [call.id for call in completed(answer).choices[0].message.tool_calls or []] == ["functions.Read:0"]


def test_arguments_are_the_input_as_it_was() -> None:
    given: dict[str, Any] = {"z": [1, 2.5, None], "a": {"emoji": "😀", "quote": '"'}}
    calls = to_completion(message(tool(**given)), created=0)["choices"][0]["message"]["tool_calls"]
    assert json.loads(calls[0]["function"]["arguments"]) == given


@pytest.mark.parametrize("kind", ["server_tool_use", "web_search_tool_result", "container_upload", None, ["text"]])
def test_blocks_of_a_servers_own_tools_cannot_be_said(kind: object) -> None:
    with pytest.raises(BadEvent, match="no place for a block"):
        to_completion(message({"type": kind}), created=0)


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        {},
        {"content": None},
        {"content": "Hi."},
        {"content": ["Hi."]},
        {"content": [{"type": "text"}]},
        {"content": [{"type": "tool_use", "id": "a", "name": "b"}]},
        {"content": [{"type": "tool_use", "id": "a", "name": "b", "input": "{}"}]},
        {"content": [{"type": "tool_use", "id": None, "name": "b", "input": {}}]},
        {"content": [{"type": "tool_use", "id": "a", "name": 1, "input": {}}]},
    ],
)
def test_what_is_no_answer_is_told_as_that(answer: dict[str, Any]) -> None:
    with pytest.raises(BadEvent):
        to_completion(answer, created=0)


def test_an_input_that_is_deeper_than_json_is_written_is_a_bad_answer() -> None:
    given: dict[str, Any] = {}
    for _ in range(400):
        given = {"a": given}
    with pytest.raises(BadEvent, match="cannot be written"):
        to_completion(message(tool(deep=given)), created=0)


@given(
    st.dictionaries(FIELDS, JSON | WORDS)
    | st.lists(st.dictionaries(FIELDS | st.just("name"), JSON | WORDS), max_size=3).map(lambda some: message(*some))
)
def test_no_answer_of_any_shape_is_more_than_bad(answer: dict[str, Any]) -> None:
    before = copy.deepcopy(answer)
    try:
        said = to_completion(answer, created=5)
    except BadEvent:
        pass
    else:
        ChatCompletion.model_validate(said, strict=True)
    assert repr(answer) == repr(before)
