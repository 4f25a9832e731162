"""A request for Anthropic's messages as a chat request, field by field of the top level."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sidecar.dialects.messages_to_chat import messages_to_chat
from sidecar.dialects.translated import Translated, Untranslatable
from tests.kit.vendor_types import held_by_openai

HELLO = [{"role": "user", "content": "Hello"}]
PREFILLED = [*HELLO, {"role": "assistant", "content": "The answer is"}]
CLOSED = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
TOOL = {"name": "look", "input_schema": CLOSED}


def translated(*, compatible: bool = False, **fields: Any) -> Translated:
    """The translation, held against OpenAI's types; the request stays as it was."""
    asked = {"model": "claude", "messages": HELLO, **fields}
    before = copy.deepcopy(asked)
    made = messages_to_chat(asked, compatible=compatible)
    assert asked == before
    held_by_openai(made.document)
    return made


def said(*, compatible: bool = False, **fields: Any) -> dict[str, Any]:
    """What the target is told beside the messages; nothing is lost."""
    made = translated(compatible=compatible, **fields)
    assert made.dropped == ()
    return {name: value for name, value in made.document.items() if name != "messages"}


def schema(strict: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": given, **strict}}}


def test_a_plain_request() -> None:
    assert translated() == Translated({"messages": HELLO}, ())


def test_the_system_is_the_first_message() -> None:
    made = translated(system="Be brief.")
    assert made == Translated({"messages": [{"role": "system", "content": "Be brief."}, *HELLO]}, ())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"stop_sequences": ["A", "B", "C", "D"]}, {"stop": ["A", "B", "C", "D"]}),
        ({"stop_sequences": []}, {}),
        ({"stream": False}, {"stream": False}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"output_config": {"effort": "high"}}, {"reasoning_effort": "high"}),
        ({"output_config": {"effort": "max"}, "thinking": {"type": "adaptive"}}, {"reasoning_effort": "max"}),
        ({"output_config": {"format": {"type": "json_schema", "schema": CLOSED}}}, schema({"strict": True}, CLOSED)),
        ({"output_format": {"type": "json_schema", "schema": CLOSED}}, schema({"strict": True}, CLOSED)),
        ({"output_config": {"effort": None, "format": None}}, {}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"metadata": {"user_id": None}}, {}),
        ({"mcp_servers": []}, {}),
        ({"tool_choice": {"type": "auto"}}, {}),
        (dict.fromkeys(("system", "top_k", "tools", "thinking", "container", "unheard_of", "max_tokens")), {}),
    ],
)
def test_what_is_said_in_other_words(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert said(**fields) == said(**fields, compatible=True) == expected


def test_names_that_only_openai_wants() -> None:
    fields: dict[str, Any] = {"max_tokens": 9, "metadata": {"user_id": "u1"}}
    assert said(**fields) == {"max_completion_tokens": 9, "safety_identifier": "u1"}
    assert said(**fields, compatible=True) == {"max_tokens": 9, "user": "u1"}


def test_tools_stand_with_their_choice() -> None:
    choice = {"type": "any", "disable_parallel_tool_use": True}
    assert said(tools=[TOOL], tool_choice=choice) == {
        "tools": [{"type": "function", "function": {"name": "look", "parameters": CLOSED}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1024, "low"), (2047, "low"), (2048, "medium"), (8191, "medium"), (8192, "high"), (64000, "high")],
)
def test_a_budget_to_think_with_is_an_effort_and_its_count_is_lost(budget: int, effort: str) -> None:
    made = translated(thinking={"type": "enabled", "budget_tokens": budget})
    assert made.document["reasoning_effort"] == effort
    assert made.dropped == ("thinking.budget_tokens",)


@pytest.mark.parametrize("order", [("thinking", "output_config"), ("output_config", "thinking")])
def test_an_effort_that_is_told_is_heard_before_a_budget(order: tuple[str, ...]) -> None:
    fields: dict[str, Any] = {
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "output_config": {"effort": "max"},
    }
    made = translated(**{name: fields[name] for name in order})
    assert made.document["reasoning_effort"] == "max"
    assert made.dropped == ("thinking.budget_tokens",)


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"thinking": {"type": "disabled"}}, ("thinking",)),
        ({"thinking": {"type": "between_tools"}}, ("thinking",)),
        ({"thinking": {"type": "adaptive"}}, ("thinking",)),
        ({"thinking": {"type": "enabled"}}, ("thinking",)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, ("thinking.display", "thinking")),
        (
            {"output_config": {"effort": "high"}, "thinking": {"type": "disabled"}},
            ("output_config.effort", "thinking"),
        ),
        (
            {"output_config": {"effort": "colossal", "task_budget": 1}},
            ("output_config.task_budget", "output_config.effort"),
        ),
        ({"top_k": 40}, ("top_k",)),
        ({"cache_control": {"type": "ephemeral"}}, ("cache_control",)),
        ({"container": "c1"}, ("container",)),
        ({"inference_geo": "eu"}, ("inference_geo",)),
        ({"diagnostics": {"previous_message_id": "m"}}, ("diagnostics",)),
        ({"speed": "fast"}, ("speed",)),
        ({"user_profile_id": "p"}, ("user_profile_id",)),
        ({"context_management": {"edits": []}}, ("context_management",)),
        ({"unheard_of": 0}, ("unheard_of",)),
        ({"metadata": {"user_id": "u" * 129}}, ("metadata.user_id",)),
        ({"metadata": {"user_id": 1, "other": 2}}, ("metadata.other", "metadata.user_id")),
        ({"service_tier": "priority"}, ("service_tier",)),
        ({"service_tier": {}}, ("service_tier",)),
    ],
)
def test_what_a_chat_has_no_word_for_is_lost_and_told(fields: dict[str, Any], dropped: tuple[str, ...]) -> None:
    assert translated(**fields) == Translated({"messages": HELLO}, dropped)


def test_the_first_four_stops_are_kept() -> None:
    made = translated(stop_sequences=["A", "B", "C", "D", "E"])
    assert made == Translated({"messages": HELLO, "stop": ["A", "B", "C", "D"]}, ("stop_sequences",))


@pytest.mark.parametrize("name", ["output_config.format", "output_format"])
def test_a_schema_that_openai_would_refuse_as_strict_is_sent_without_and_that_is_told(name: str) -> None:
    optional = {**CLOSED, "required": []}
    wanted = {"type": "json_schema", "schema": optional}
    made = translated(**({"output_config": {"format": wanted}} if "." in name else {name: wanted}))
    assert made == Translated({"messages": HELLO, **schema({}, optional)}, (name,))


def test_losses_are_told_in_the_order_of_the_request_each_once() -> None:
    cached = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    made = translated(
        top_k=1,
        messages=[{"role": "user", "content": [cached, cached]}],
        system=[cached],
        inference_geo="eu",
    )
    assert sorted(made.dropped) == ["inference_geo", "messages.cache_control", "system.cache_control", "top_k"]
    assert made.dropped[-1] == "inference_geo"


def test_going_on_with_the_last_message_is_asked_of_servers_that_can() -> None:
    """The names are those of vLLM and SGLang."""
    made = translated(messages=PREFILLED, compatible=True)
    expected = {"messages": PREFILLED, "continue_final_message": True, "add_generation_prompt": False}
    assert made == Translated(expected, ())


def test_openai_cannot_go_on_with_the_last_message() -> None:
    with pytest.raises(Untranslatable, match="prefill"):
        translated(messages=PREFILLED)


def test_nobody_goes_on_with_calls() -> None:
    calls = [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]
    with pytest.raises(Untranslatable, match="prefill"):
        translated(messages=[*HELLO, {"role": "assistant", "content": calls}], compatible=True)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"messages": None}, "messages: is no list"),
        ({"messages": []}, "messages: none but the system says anything"),
        ({"system": 1}, "system: is no list"),
        ({"max_tokens": 0}, "max_tokens: is no count of at least 1"),
        ({"temperature": "hot"}, "temperature: is no number"),
        ({"top_p": []}, "top_p: is no number"),
        ({"stop_sequences": "END"}, "stop_sequences: is no list"),
        ({"stop_sequences": [1]}, "stop_sequences: is no string"),
        ({"stream": "yes"}, "stream: is neither true nor false"),
        ({"tools": [{"type": "web_search_20250305"}]}, "tools: 'web_search_20250305' is a tool of the provider's own"),
        ({"tool_choice": {"type": "any"}}, "tool_choice: there is no such tool"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice: is no object"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers: tools of the provider's own"),
        ({"output_config": 1}, "output_config: is no object"),
        (
            {"output_config": {"format": {"type": "regex"}}},
            "output_config.format: 'regex' cannot be asked for, only json_schema",
        ),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema: is no object"),
        ({"thinking": True}, "thinking: is no object"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": "many"}},
            "thinking.budget_tokens: is no count of at least 1",
        ),
        ({"metadata": "u1"}, "metadata: is no object"),
    ],
)
def test_without_it_the_answer_would_be_another_one(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        translated(**fields)
    assert str(caught.value) == reason


def test_a_request_without_messages() -> None:
    with pytest.raises(Untranslatable, match=r"^messages: there are none$"):
        messages_to_chat({"model": "m"}, compatible=True)
