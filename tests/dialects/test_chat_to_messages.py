"""A chat request as one for Anthropic, field by field of the top level."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sidecar.dialects.chat_to_messages import chat_to_messages
from sidecar.dialects.translated import Translated, Untranslatable
from tests.kit.vendor_types import held_by_anthropic

HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}


def translated(**fields: Any) -> Translated:
    """The translation, held against Anthropic's types; the request stays as it was."""
    asked = {"model": "gpt-4o", "messages": HELLO, **fields}
    before = copy.deepcopy(asked)
    made = chat_to_messages(asked)
    assert asked == before
    held_by_anthropic(made.document)
    return made


def said(**fields: Any) -> dict[str, Any]:
    """What Anthropic is told beside the messages; nothing is lost."""
    made = translated(**fields)
    assert made.dropped == ()
    return {name: value for name, value in made.document.items() if name != "messages"}


def test_a_plain_request() -> None:
    assert translated() == Translated({"messages": HELLO}, ())


def test_the_system_stands_apart() -> None:
    messages = [{"role": "system", "content": "Be brief."}, *HELLO]
    assert translated(messages=messages) == Translated({"messages": HELLO, "system": "Be brief."}, ())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9, "max_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": 9, "max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"temperature": 1}, {"temperature": 1}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["A", "B"]}, {"stop_sequences": ["A", "B"]}),
        ({"stop": []}, {}),
        ({"stream": True}, {"stream": True}),
        ({"stream": False}, {"stream": False}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"stream_options": {"include_obfuscation": False}}, {}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": SCHEMA, "strict": True},
                }
            },
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        ),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "low"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "medium"}, {"output_config": {"effort": "medium"}}),
        ({"reasoning_effort": "high"}, {"output_config": {"effort": "high"}}),
        ({"reasoning_effort": "xhigh"}, {"output_config": {"effort": "xhigh"}}),
        ({"reasoning_effort": "max"}, {"output_config": {"effort": "max"}}),
        ({"user": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"safety_identifier": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"user": "u1", "safety_identifier": "u1"}, {"metadata": {"user_id": "u1"}}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"parallel_tool_calls": False}, {}),
    ],
)
def test_what_is_said_in_other_words(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert said(**fields) == expected


def test_format_and_effort_stand_in_one_object() -> None:
    format_ = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    made = said(reasoning_effort="low", response_format=format_)
    assert made == {"output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}}


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"logprobs": False},
        {"top_logprobs": 0},
        {"store": False},
        {"presence_penalty": 0},
        {"frequency_penalty": 0.0},
        {"logit_bias": {}},
        {"metadata": {}},
        {"verbosity": "medium"},
        {"modalities": ["text"]},
        {"tools": []},
        {"tools": [], "tool_choice": "auto"},
        {"tool_choice": "none"},
        dict.fromkeys(("n", "seed", "stop", "tools", "audio", "user", "unheard_of", "max_tokens", "temperature")),
    ],
)
def test_what_asks_for_nothing_is_no_loss(fields: dict[str, Any]) -> None:
    """Null is how many clients leave a field out; the others are defaults."""
    assert said(**fields) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 7),
        ("seed", 0),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("logit_bias", {"50256": -100}),
        ("presence_penalty", 0.5),
        ("frequency_penalty", -0.5),
        ("prediction", {"type": "content", "content": "x"}),
        ("store", True),
        ("metadata", {"a": "b"}),
        ("verbosity", "low"),
        ("moderation", {"model": "omni-moderation-latest"}),
        ("prompt_cache_key", "k"),
        ("prompt_cache_options", {"mode": "explicit"}),
        ("prompt_cache_retention", "24h"),
        ("service_tier", "flex"),
        ("service_tier", 1),
        ("reasoning_effort", "colossal"),
        ("user", "u" * 257),
        ("safety_identifier", 1),
        ("top_k", 40),
        ("chat_template_kwargs", {"enable_thinking": False}),
        ("unheard_of", False),
    ],
)
def test_what_anthropic_has_no_word_for_is_lost_and_told(name: str, value: Any) -> None:
    assert translated(**{name: value}) == Translated({"messages": HELLO}, (name,))


def test_what_is_said_only_in_part_is_told_too() -> None:
    made = translated(temperature=1.5, reasoning_effort="minimal", stop=["END", "\n"], max_tokens=5)
    assert made.dropped == ("temperature", "reasoning_effort", "stop")
    assert made.document["temperature"] == 1
    assert made.document["output_config"] == {"effort": "low"}
    assert made.document["stop_sequences"] == ["END"]


def test_the_newer_of_two_names_is_heard() -> None:
    made = translated(max_tokens=5, max_completion_tokens=7, user="old", safety_identifier="new")
    assert made.dropped == ("max_tokens", "user")
    assert (made.document["max_tokens"], made.document["metadata"]) == (7, {"user_id": "new"})
    turned = translated(safety_identifier="new", user="old", max_completion_tokens=7, max_tokens=5)
    assert turned.dropped == ("user", "max_tokens")
    assert (turned.document["max_tokens"], turned.document["metadata"]) == (7, {"user_id": "new"})


def test_losses_are_told_in_the_order_of_the_request_each_once() -> None:
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "name": "Ada", "content": [part, part]}]
    made = chat_to_messages({"seed": 1, "messages": messages, "logit_bias": {"1": 1}, "zz\r\n": 1})
    assert made.dropped == ("seed", "messages.name", "messages.cache_control", "logit_bias", "?")


def test_nested_losses_are_told_with_their_place() -> None:
    schema = {"name": "x", "description": "d", "schema": SCHEMA}
    made = translated(
        stream_options={"include_obfuscation": True, "more": 1},
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert made.dropped == (
        "stream_options.include_obfuscation",
        "stream_options.more",
        "response_format.json_schema.description",
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"n": 2}, "n: is more than one answer"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio: answers that are spoken cannot be asked for"),
        ({"modalities": ["text", "audio"]}, "modalities: answers other than text cannot be asked for"),
        ({"web_search_options": {}}, "web_search_options: a search by the provider cannot be asked for"),
        ({"functions": [{"name": "f"}]}, "functions: is the old way to name tools"),
        ({"function_call": "auto"}, "function_call: is the old way to choose a tool"),
        (
            {"response_format": {"type": "json_object"}},
            "response_format: 'json_object' cannot be asked for, only text and json_schema",
        ),
        (
            {"response_format": {"type": "grammar"}},
            "response_format: 'grammar' cannot be asked for, only text and json_schema",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema: is no object",
        ),
        ({"response_format": "json"}, "response_format: is no object"),
        ({"tool_choice": "required"}, "tool_choice: there is no such tool"),
        ({"max_tokens": 0}, "max_tokens: is no count of at least 1"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens: is no count of at least 1"),
        ({"temperature": "hot"}, "temperature: is no number"),
        ({"top_p": True}, "top_p: is no number"),
        ({"stop": [1]}, "stop: is no string"),
        ({"stop": 1}, "stop: is no list"),
        ({"stream": 1}, "stream: is neither true nor false"),
        ({"stream_options": True}, "stream_options: is no object"),
        ({"tools": {}}, "tools: is no list"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls: is neither true nor false"),
        ({"messages": None}, "messages: is no list"),
        ({"messages": {}}, "messages: is no list"),
    ],
)
def test_without_it_the_answer_would_be_another_one(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        translated(**fields)
    assert str(caught.value) == reason


def test_a_request_without_messages() -> None:
    with pytest.raises(Untranslatable, match=r"^messages: there are none$"):
        chat_to_messages({"model": "m", "prompt": "x"})


PREFILLED = [*HELLO, {"role": "assistant", "content": "Hi"}]


def test_being_told_to_go_on_with_the_last_message_is_what_anthropic_does() -> None:
    """Servers as vLLM and SGLang are told so; for Anthropic it is no loss."""
    assert said(messages=PREFILLED, continue_final_message=True, add_generation_prompt=False) == {}
    assert said(continue_final_message=False, add_generation_prompt=True) == {}


def test_being_told_not_to_go_on_with_it_is_lost() -> None:
    lost = ("continue_final_message", "add_generation_prompt")
    assert translated(messages=PREFILLED, continue_final_message=False, add_generation_prompt=True).dropped == lost
    assert translated(continue_final_message=True, add_generation_prompt=False).dropped == lost


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}),
        ({"parallel_tool_calls": False}, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        ({"parallel_tool_calls": True}, {}),
    ],
)
def test_tools_stand_with_their_choice(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert said(tools=[TOOL], **fields) == {"tools": [{"name": "look", "input_schema": SCHEMA}], **expected}
