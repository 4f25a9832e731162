"""Chat completions as Anthropic's messages, each as Anthropic's own SDK reads it."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.message_reply import to_message
from sidecar.dialects.tool_ids import from_anthropic_id
from sidecar.dialects.translated import BadEvent

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def completion(finish_reason: str | None = "stop", **said: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-01X",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", **said}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 25, "completion_tokens": 7, "total_tokens": 32},
    }


def call(arguments: Any = "{}", name: str = "read", **more: Any) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def told(answer: dict[str, Any]) -> Message:
    return Message.model_validate_json(orjson.dumps(to_message(answer)), strict=True)


def test_an_answer() -> None:
    assert to_message(completion(content="Hi.")) == {
        "id": "msg_01X",
        "type": "message",
        "role": "assistant",
        "model": "gpt-4o-2024-08-06",
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 25,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 7,
        },
    }


def test_text_comes_before_tool_uses() -> None:
    calls = [call('{"path":"a"}'), call("{}", "list", id="call_2")]
    said = told(completion("tool_calls", content="Reading.", tool_calls=calls))
    assert said.stop_reason == "tool_use"
    assert [block.model_dump(exclude_none=True) for block in said.content] == [
        {"type": "text", "text": "Reading."},
        {"type": "tool_use", "id": "call_1", "name": "read", "input": {"path": "a"}},
        {"type": "tool_use", "id": "call_2", "name": "list", "input": {}},
    ]


@pytest.mark.parametrize("content", [None, ""])
def test_an_empty_text_is_no_block(content: str | None) -> None:
    assert [block.type for block in told(completion("tool_calls", content=content, tool_calls=[call()])).content] == [
        "tool_use"
    ]
    assert told(completion(content=content)).content == []


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
        ("content_filter", "refusal"),
        ("eos", "end_turn"),
        (None, "end_turn"),
    ],
)
def test_why_it_ended(finish_reason: str | None, stop_reason: str) -> None:
    assert told(completion(finish_reason, content="Hi.")).stop_reason == stop_reason


def test_a_tool_call_is_why_it_ended_also_where_the_server_says_stop() -> None:
    assert told(completion("stop", content="Reading.", tool_calls=[call()])).stop_reason == "tool_use"


@pytest.mark.parametrize("finish_reason", ["content_filter", "stop"])
def test_a_refusal_is_an_answer_with_its_explanation(finish_reason: str) -> None:
    said = told(completion(finish_reason, content=None, refusal="I cannot do that."))
    assert said.stop_reason == "refusal"
    assert said.stop_details is not None
    assert said.stop_details.explanation == "I cannot do that."


def test_the_input_leaves_out_what_the_cache_did() -> None:
    answer = completion(content="Hi.")
    answer["usage"] |= {
        "prompt_tokens": 240,
        "prompt_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    usage = told(answer).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (10, 200, 30)
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 5


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}])
def test_usage_that_nobody_told_is_zero_for_the_field_is_due(usage: object) -> None:
    read = told({**completion(content="Hi."), "usage": usage}).usage
    assert (read.input_tokens, read.output_tokens) == (0, 0)


@pytest.mark.parametrize("arguments", ["", "{}", "null", None, {}])
def test_a_tool_without_arguments(arguments: object) -> None:
    assert to_message(completion("tool_calls", tool_calls=[call(arguments)]))["content"][0]["input"] == {}


def test_arguments_that_are_an_object_already_are_copied() -> None:
    arguments = {"path": ["a"]}
    block = to_message(completion("tool_calls", tool_calls=[call(arguments)]))["content"][0]
    assert block["input"] == arguments
    assert block["input"]["path"] is not arguments["path"]


def test_arguments_with_a_surrogate_pair_are_one_letter() -> None:
    block = to_message(completion("tool_calls", tool_calls=[call('{"a":"\\ud83d\\ude00"}')]))["content"][0]
    assert block["input"] == {"a": "😀"}


@pytest.mark.parametrize("arguments", ['{"a":', "[]", '"a"', "read it", 7, '{"a":"\\ud83d"}'])
def test_arguments_that_are_no_object_make_a_bad_answer(arguments: object) -> None:
    with pytest.raises(BadEvent, match=r"function\.arguments"):
        to_message(completion("tool_calls", tool_calls=[call(arguments)]))


@pytest.mark.parametrize("arguments", ["", '{"pa', '{"a": {}'])
def test_a_call_that_was_cut_for_length_is_none(arguments: str) -> None:
    answer = completion("length", content="Reading.", tool_calls=[call(), call(arguments, id="call_2")])
    said = told(answer)
    assert said.stop_reason == "max_tokens"
    assert [block.type for block in said.content] == ["text", "tool_use"]


def test_only_the_last_call_can_have_been_cut() -> None:
    with pytest.raises(BadEvent, match=r"function\.arguments"):
        to_message(completion("length", tool_calls=[call('{"pa'), call()]))


def test_arguments_that_are_too_deep_to_be_written_again_make_a_bad_answer() -> None:
    with pytest.raises(BadEvent, match="too deep"):
        to_message(completion("tool_calls", tool_calls=[call('{"a":' * 300 + "1" + "}" * 300)]))
    deepest = '{"a":' * 240 + "1" + "}" * 240
    orjson.dumps(to_message(completion("tool_calls", tool_calls=[call(deepest)])))


def test_tool_ids_that_anthropic_would_refuse_are_spelled() -> None:
    (block,) = told(completion("tool_calls", tool_calls=[call(id="functions.Read:0")])).content
    assert block.type == "tool_use"
    assert block.id != "functions.Read:0"
    assert from_anthropic_id(block.id) == "functions.Read:0"


@pytest.mark.parametrize("missing", [None, ""])
def test_calls_without_an_id_get_different_ones(missing: str | None) -> None:
    said = told(completion("tool_calls", tool_calls=[call(id=missing), call(id=missing)]))
    assert [block.id for block in said.content if block.type == "tool_use"] == ["call_01X_0", "call_01X_1"]


def test_a_legacy_function_call_is_a_tool_use() -> None:
    said = told(completion("function_call", content=None, function_call={"name": "read", "arguments": '{"path":"a"}'}))
    (block,) = said.content
    assert (said.stop_reason, block.type) == ("tool_use", "tool_use")


@pytest.mark.parametrize("kind", [None, ""])
def test_a_call_without_a_type_is_one_of_a_function(kind: str | None) -> None:
    assert to_message(completion("tool_calls", tool_calls=[call(type=kind)]))["content"][0]["type"] == "tool_use"


def test_content_in_parts_is_one_text_without_its_reasoning() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "H"}, {"type": "text", "text": "i."}]
    assert to_message(completion(content=parts))["content"] == [{"type": "text", "text": "Hi."}]


def test_reasoning_beside_the_content_is_left_out() -> None:
    said = told(completion(content="Hi.", reasoning_content="Hm.", reasoning="Hm.", annotations=[]))
    assert [block.type for block in said.content] == ["text"]


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "Provider returned error", "code": 502}},
        {},
        {"choices": None},
        {"choices": []},
        {"choices": ["Hi."]},
        {"choices": [{"message": "Hi."}]},
        {"choices": [*completion(content="a")["choices"], *completion(content="b")["choices"]]},
        completion("error", content="Hal"),
        completion(content=7),
        completion(content=[{"type": "image_url"}]),
        completion(content=["Hi."]),
        completion(content=None, audio={"id": "audio_1"}),
        completion("tool_calls", tool_calls={"id": "call_1"}),
        completion("tool_calls", tool_calls=["read"]),
        completion("tool_calls", tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "n", "input": "i"}}]),
        completion("tool_calls", tool_calls=[{"id": "c", "type": "function"}]),
        completion("tool_calls", tool_calls=[call(name="")]),
        completion("function_call", function_call="read"),
    ],
)
def test_what_is_no_answer_is_told_as_that(answer: dict[str, Any]) -> None:
    with pytest.raises(BadEvent):
        to_message(answer)


@given(
    st.dictionaries(st.sampled_from(["id", "choices", "usage", "model"]), JSON),
    st.dictionaries(st.sampled_from(["content", "refusal", "tool_calls", "function_call", "audio"]), JSON),
    st.lists(
        st.dictionaries(st.sampled_from(["id", "type", "function"]), JSON)
        | st.builds(call, JSON | st.just('{"a":1}'), id=JSON),
        max_size=3,
    ),
    JSON | st.sampled_from(["stop", "length", "tool_calls"]),
)
def test_no_answer_of_any_shape_is_more_than_bad(
    top: dict[str, Any], said: dict[str, Any], calls: list[Any], finish_reason: Any
) -> None:
    answer = completion(finish_reason, tool_calls=calls or None, **{k: v for k, v in said.items() if k != "tool_calls"})
    for tried in (answer, {**answer, **top}, completion("stop", **said)):
        before = copy.deepcopy(tried)
        try:
            message = to_message(tried)
        except BadEvent:
            pass
        else:
            Message.model_validate_json(orjson.dumps(message), strict=True)
        assert repr(tried) == repr(before)
