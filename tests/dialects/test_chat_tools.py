"""Tools of a chat as Anthropic's: their schemas, the choice between them, and calls of the past."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dialects.chat_tools import say_tools, tool_uses
from sidecar.dialects.fields import Lost
from sidecar.dialects.translated import Untranslatable
from tests.kit.vendor_types import held_by_anthropic

NO_PARAMETERS = {"type": "object", "properties": {}}


def function(name: str = "look", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


def chosen(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def said(lost: Lost | None = None, **asked: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    say_tools(asked, made, lost or Lost())
    held_by_anthropic({"messages": [], **made})
    return made


def one(**fields: Any) -> Any:
    [tool] = said(tools=[function(**fields)])["tools"]
    return tool


def test_a_function() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    made = one(description="Looks.", parameters=schema, strict=True)
    assert made == {"name": "look", "description": "Looks.", "input_schema": schema, "strict": True}


@pytest.mark.parametrize("fields", [{}, {"parameters": None}, {"parameters": {}}])
def test_a_function_without_parameters_is_told_to_have_none(fields: dict[str, Any]) -> None:
    assert one(**fields, description=None, strict=None) == {"name": "look", "input_schema": NO_PARAMETERS}


def test_parameters_are_told_to_be_an_object() -> None:
    given = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}
    assert one(parameters=given)["input_schema"] == {"type": "object", **given}
    assert "type" not in given


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        (function(parameters={"type": "array"}), "tools.function.parameters: are of type 'array'"),
        (
            function(parameters={"type": ["object", "null"]}),
            "tools.function.parameters: are of type […]",
        ),
        (function(parameters=[]), "tools.function.parameters: is no object"),
        (function("mcp.server/read"), "tools.function.name: 'mcp.server/read' is not of"),
        (function("x" * 129), "tools.function.name: 'xxx"),
        (function(""), "tools.function.name: '' is not of"),
        (function(strict="yes"), "tools.function.strict: is neither true nor false"),
        (function(description=1), "tools.function.description: is no string"),
        ({"type": "function"}, "tools.function: is no object"),
        ({"type": "custom", "custom": {"name": "x"}}, "tools: a tool of type 'custom' cannot be said"),
        ({"type": "web_search"}, "tools: a tool of type 'web_search' cannot be said"),
        ({"function": {"name": "x"}}, "tools: a tool of type None cannot be said"),
        ("look", "tools: is no object"),
    ],
)
def test_a_tool_that_anthropic_would_refuse(tool: Any, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        said(tools=[tool])
    assert str(caught.value).startswith(reason)


def test_unknown_fields_of_a_tool_are_lost() -> None:
    lost = Lost()
    said(lost, tools=[{**function(examples=[1]), "cache_control": {"type": "ephemeral"}}])
    assert lost.names() == ("tools.cache_control", "tools.function.examples")


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        (chosen("look"), {"type": "tool", "name": "look"}),
    ],
)
def test_choices(choice: Any, expected: dict[str, Any]) -> None:
    assert said(tools=[function()], tool_choice=choice)["tool_choice"] == expected
    single = said(tools=[function()], tool_choice=choice, parallel_tool_calls=False)["tool_choice"]
    assert single == (expected if choice == "none" else {**expected, "disable_parallel_tool_use": True})


@pytest.mark.parametrize(("mode", "expected"), [("auto", "auto"), ("required", "any")])
def test_only_the_allowed_tools_are_named(mode: str, expected: str) -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [chosen("b"), chosen("c")]}}
    made = said(tools=[function("a"), function("b"), function("c")], tool_choice=choice)
    assert [tool["name"] for tool in made["tools"]] == ["b", "c"]
    assert made["tool_choice"] == {"type": expected}


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("any", "tool_choice: 'any' is unknown"),
        (1, "tool_choice: is no object"),
        ({"type": "custom", "custom": {"name": "x"}}, "tool_choice: a choice of type 'custom' cannot be said"),
        ({"type": "function"}, "tool_choice.function: is no object"),
        ({"type": "function", "function": {}}, "tool_choice.function.name: is no string"),
        ({"type": "allowed_tools"}, "tool_choice.allowed_tools: is no object"),
        (
            {"type": "allowed_tools", "allowed_tools": {"tools": [], "mode": []}},
            "tool_choice.allowed_tools.mode: […] is unknown",
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "mcp"}]}},
            "tool_choice: a tool of type 'mcp' cannot be said, only functions",
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [chosen("other")]}},
            "tool_choice: there is no such tool",
        ),
    ],
)
def test_a_choice_that_cannot_be_said(choice: Any, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        said(tools=[function()], tool_choice=choice)
    assert str(caught.value) == reason


def test_a_choice_between_no_tools() -> None:
    assert said(tool_choice="auto", parallel_tool_calls=False) == {}
    with pytest.raises(Untranslatable, match=r"^tool_choice: there is no such tool$"):
        said(tool_choice=chosen("look"))


def call(arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}, **fields}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"city":"Köln","n":[1,2.5,null]}', {"city": "Köln", "n": [1, 2.5, None]}),
        ('{"emoji":"\\ud83d\\ude00"}', {"emoji": "😀"}),
        ("{}", {}),
        ("", {}),
        (" \n", {}),
        ("null", {}),
        ('{"id":18446744073709551615,"text":"18446744073709551616"}', None),
    ],
)
def test_arguments_are_read(arguments: str, expected: dict[str, Any] | None) -> None:
    wanted = {"id": 2**64 - 1, "text": "18446744073709551616"} if expected is None else expected
    assert tool_uses([call(arguments)], Lost()) == [
        {"type": "tool_use", "id": "c1", "name": "look", "input": wanted},
    ]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("{", "are no JSON"),
        ('{"a":NaN}', "are no JSON"),
        ('{"a":"\\ud83d"}', "are no JSON"),
        ("[" * 3000, "are no JSON"),
        ("[1]", "are no object"),
        ('"x"', "are no object"),
        ({"city": "Köln"}, "is no string"),
        (None, "is no string"),
        ('{"id":18446744073709551616}', "have a whole number of more than 64 bits"),
        ('{"id":-9223372036854775809}', "have a whole number of more than 64 bits"),
        ('{"id":' + "9" * 5000 + "}", "are no JSON"),
    ],
)
def test_arguments_that_are_no_json_are_not_guessed(arguments: Any, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        tool_uses([call(arguments)], Lost())
    assert str(caught.value) == f"tool_calls.function.arguments: {reason}"


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ({}, "tool_calls: is no list"),
        (["x"], "tool_calls: is no object"),
        ([call("{}", id="")], "tool_calls.id: is empty"),
        ([call("{}", id=None)], "tool_calls.id: is no string"),
        ([call("{}", type="custom")], "tool_calls: a call of type 'custom' cannot be said, only of functions"),
        ([call("{}", function=None)], "tool_calls.function: is no object"),
        ([call("{}", function={"name": "", "arguments": ""})], "tool_calls.function.name: is empty"),
    ],
)
def test_a_call_that_cannot_be_said(calls: Any, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        tool_uses(calls, Lost())
    assert str(caught.value) == reason


def test_unknown_fields_of_a_call_are_lost() -> None:
    lost = Lost()
    tool_uses([call("{}", index=0, extra_content={"google": {"thought_signature": "x"}})], lost)
    assert lost.names() == ("messages.tool_calls.extra_content",)
