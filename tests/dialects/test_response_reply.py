from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from openai.types.responses import Response

from sidecar.dialects.response_reply import to_response
from sidecar.dialects.tool_ids import to_anthropic_id
from sidecar.dialects.translated import BadEvent
from tests.kit.messages import anything, bent, message, messages, text, thinking, tool_use

Json = dict[str, Any]

REQUEST: Json = {"model": "gpt-x", "input": "hi"}


def response(whole: Json, **said: Any) -> Json:
    return to_response(whole, {**REQUEST, **said}, created=7)


def test_a_text() -> None:
    assert response(message(text("Hello"))) == {
        "id": "resp_01X",
        "object": "response",
        "created_at": 7,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": "claude-x",
        "output": [
            {
                "id": "msg_01X_0",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello"}],
            }
        ],
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 15,
        },
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
    }


def test_what_the_request_said_is_repeated() -> None:
    said = {
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "metadata": {"k": "v"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "tool_choice": "required",
        "truncation": "auto",
        "user": "u",
    }
    told = response(message(text("a")), **said, tools=[{"type": "function", "name": "look"}], text={"verbosity": "low"})
    assert {name: told[name] for name in said} == said
    assert told["tools"] == [{"type": "function", "name": "look", "parameters": None, "strict": None}]
    assert told["text"] == {"verbosity": "low", "format": {"type": "text"}}
    Response.model_validate(told)


def test_tools_and_texts_keep_their_order() -> None:
    whole = message(text("a"), text("b"), tool_use("look", {"at": 1}), tool_use("read", {}), text("c"), stop="tool_use")
    read = Response.model_validate(response(whole))
    assert read.output_text == "abc"
    assert [item.type for item in read.output] == ["message", "function_call", "function_call", "message"]
    call = read.output[1]
    assert call.type == "function_call"
    assert (call.id, call.call_id, call.name, call.arguments) == ("fc_01X_1", "toolu_1", "look", '{"at":1}')


def test_a_tool_call_has_the_id_that_the_caller_gave() -> None:
    whole = message(tool_use("read", {}, to_anthropic_id("functions.Read:0")), stop="tool_use")
    assert response(whole)["output"][0]["call_id"] == "functions.Read:0"


def test_a_tool_that_takes_nothing_may_come_without_input() -> None:
    assert response(message({"type": "tool_use", "id": "t", "name": "n"}))["output"][0]["arguments"] == "{}"


def test_thinking_is_left_out_and_splits_no_message() -> None:
    whole = message(thinking("hm"), text("a"), {"type": "redacted_thinking", "data": "x"}, text("b"))
    [item] = response(whole)["output"]
    assert [part["text"] for part in item["content"]] == ["a", "b"]


@pytest.mark.parametrize("stop", ["end_turn", "stop_sequence", "tool_use", "pause_turn", None, "new"])
def test_an_answer_that_ended_by_itself_is_complete(stop: str | None) -> None:
    whole = response(message(text("a"), stop=stop))
    assert (whole["status"], whole["incomplete_details"]) == ("completed", None)


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("max_tokens", "max_output_tokens"),
        ("model_context_window_exceeded", "max_output_tokens"),
        ("refusal", "content_filter"),
    ],
)
def test_an_answer_that_was_cut_short_is_incomplete_as_is_its_last_item(stop: str, reason: str) -> None:
    whole = response(message(tool_use("look", {}), text("a"), stop=stop))
    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert [item["status"] for item in whole["output"]] == ["completed", "incomplete"]
    Response.model_validate(whole)


def test_a_refusal_is_told_in_its_own_part() -> None:
    details = {"type": "refusal", "category": None, "explanation": "I must not."}
    refused = {"type": "refusal", "refusal": "I must not."}
    [item] = response(message(stop="refusal", stop_details=details))["output"]
    assert item["content"] == [refused]
    *_, item = response(message(tool_use("look", {}), stop="refusal", stop_details=details))["output"]
    assert item["content"] == [refused]
    [item] = response(message(text("a"), stop="refusal", stop_details=details))["output"]
    assert item["content"][1] == refused


def test_input_counts_what_a_cache_read_and_took() -> None:
    usage = {
        "input_tokens": 1,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 300,
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 40},
    }
    assert response(message(text("a"), usage=usage))["usage"] == {
        "input_tokens": 321,
        "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 300},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 371,
    }
    assert response(message(usage=None))["usage"] is None


@pytest.mark.parametrize(
    ("whole", "problem"),
    [
        (message(), None),
        ({"type": "error", "error": {}}, "no message"),
        ({}, "content"),
        (message("a"), "content"),  # type: ignore[arg-type]  # what is no block
        (message({"type": "text"}), "text"),
        (message({"type": "tool_use", "id": 1, "name": "n", "input": {}}), "id"),
        (message(tool_use("n", [])), "input"),  # type: ignore[arg-type]  # what is no input
        (message({"type": "server_tool_use", "id": "s"}), "server_tool_use"),
    ],
)
def test_what_is_no_answer_is_told(whole: Json, problem: str | None) -> None:
    if problem is None:
        assert response(whole)["output"] == []
        return
    with pytest.raises(BadEvent, match=problem):
        response(whole)


def test_what_is_too_deep_to_be_written_is_no_answer() -> None:
    deep: Json = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(BadEvent, match="written"):
        response(message(tool_use("look", deep)))


@given(messages())
def test_openais_types_take_any_answer_and_it_stays_as_it_came(whole: Json) -> None:
    before = copy.deepcopy(whole)
    read = Response.model_validate(response(whole))
    said = "".join(block["text"] for block in whole["content"] if block["type"] == "text")
    assert read.output_text == said
    assert whole == before
    assert response(whole) == response(before)


@given(bent(message(text("a"), tool_use("look", {"at": 1}), thinking("b"), stop="refusal")))
def test_any_answer_is_translated_or_refused(whole: Json) -> None:
    with suppress(BadEvent):
        response(whole)


@given(anything)
def test_any_content_is_translated_or_refused(content: object) -> None:
    with suppress(BadEvent):
        response({**message(), "content": content})
