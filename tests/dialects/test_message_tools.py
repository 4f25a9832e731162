"""Anthropic's tools as functions of a chat."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dialects.fields import Lost
from sidecar.dialects.message_tools import say_functions, tool_call
from sidecar.dialects.translated import Untranslatable
from tests.kit.vendor_types import held_by_openai

CLOSED = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
OPTIONAL = {**CLOSED, "required": []}


def tool(name: str = "look", **fields: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": CLOSED, **fields}


def said(lost: Lost | None = None, *, compatible: bool = False, **asked: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    say_functions(asked, made, lost or Lost(), compatible=compatible)
    held_by_openai({"messages": [], **made})
    return made


def one(given: dict[str, Any], *, compatible: bool = False) -> Any:
    [made] = said(tools=[given], compatible=compatible)["tools"]
    assert made["type"] == "function"
    return made["function"]


@pytest.mark.parametrize("kind", [{}, {"type": None}, {"type": "custom"}])
def test_a_tool_of_the_callers_own(kind: dict[str, Any]) -> None:
    given = tool(description="Looks.", strict=True, **kind)
    assert one(given) == {"name": "look", "description": "Looks.", "parameters": CLOSED, "strict": True}


def test_parameters_of_no_object_get_none_as_openai_refuses_the_schema_without() -> None:
    given = {"type": "object"}
    assert one(tool(input_schema=given))["parameters"] == {"type": "object", "properties": {}}
    assert given == {"type": "object"}


def test_strict_is_lost_where_openai_would_refuse_the_schema() -> None:
    lost = Lost()
    made = said(lost, tools=[tool(strict=True, input_schema=OPTIONAL)])
    assert "strict" not in made["tools"][0]["function"]
    assert lost.names() == ("tools.strict",)
    assert one(tool(strict=False, input_schema=OPTIONAL))["strict"] is False


def test_compatible_servers_take_longer_names() -> None:
    name = "mcp__" + "x" * 90
    assert one(tool(name), compatible=True)["name"] == name
    with pytest.raises(Untranslatable, match=r"^tools\.name: 'mcp__x+ is not of 1 to 64 letters, digits, _ and -$"):
        one(tool(name))


def test_what_a_tool_says_beside_is_lost() -> None:
    lost = Lost()
    said(
        lost,
        tools=[
            tool(cache_control={"type": "ephemeral"}, defer_loading=False, allowed_callers=["direct"]),
            tool(allowed_callers=["code_execution_20260120"], input_examples=[{"a": 1}]),
        ],
    )
    assert lost.names() == (
        "tools.cache_control",
        "tools.defer_loading",
        "tools.allowed_callers",
        "tools.input_examples",
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            {"type": "web_search_20250305", "name": "web_search"},
            "tools: 'web_search_20250305' is a tool of the provider",
        ),
        ({"type": "code_execution_20260120", "name": "code_execution"}, "tools: 'code_execution_20260120' is a tool"),
        ({"type": "bash_20250124", "name": "bash"}, "tools: 'bash_20250124' is a tool of the provider's own"),
        ({"type": 1}, "tools: 1 is a tool of the provider's own"),
        ({"name": "x"}, "tools.input_schema: is no object"),
        ({"input_schema": CLOSED}, "tools.name: is no string"),
        (tool(""), "tools.name: is empty"),
        (tool("a.b"), "tools.name: 'a.b' is not of"),
        (tool(description=1), "tools.description: is no string"),
        (tool(strict=1), "tools.strict: is neither true nor false"),
        (1, "tools: is no object"),
    ],
)
def test_a_tool_that_cannot_be_said(given: Any, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        said(tools=[given])
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_choices(choice: dict[str, Any], expected: Any) -> None:
    assert said(tools=[tool()], tool_choice=choice)["tool_choice"] == expected
    single = said(tools=[tool()], tool_choice={**choice, "disable_parallel_tool_use": True})
    assert (single["tool_choice"], single["parallel_tool_calls"]) == (expected, False)
    several = said(tools=[tool()], tool_choice={**choice, "disable_parallel_tool_use": False})
    assert "parallel_tool_calls" not in several


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("auto", "tool_choice: is no object"),
        ({}, "tool_choice: None is unknown"),
        ({"type": "required"}, "tool_choice: 'required' is unknown"),
        ({"type": {}}, "tool_choice: {…} is unknown"),
        ({"type": "tool"}, "tool_choice.name: is no string"),
        (
            {"type": "auto", "disable_parallel_tool_use": 1},
            "tool_choice.disable_parallel_tool_use: is neither true nor false",
        ),
    ],
)
def test_a_choice_that_cannot_be_said(choice: Any, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        said(tools=[tool()], tool_choice=choice)
    assert str(caught.value) == reason


def test_a_choice_between_no_tools() -> None:
    assert said(tool_choice={"type": "none"}) == {}
    assert said(tools=[], tool_choice={"type": "auto"}) == {}
    with pytest.raises(Untranslatable, match=r"^tool_choice: there is no such tool$"):
        said(tool_choice={"type": "any"})


def use(**fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": "t1", "name": "look", "input": {}, **fields}


def test_a_call() -> None:
    made = tool_call(use(input={"city": "Köln", "n": [1, 2.5]}), Lost())
    function = {"name": "look", "arguments": '{"city":"Köln","n":[1,2.5]}'}
    assert made == {"id": "t1", "type": "function", "function": function}


def test_a_call_put_back_as_it_came_loses_nothing() -> None:
    lost = Lost()
    tool_call(use(caller={"type": "direct"}, cache_control=None), lost)
    assert lost.names() == ()
    tool_call(
        use(caller={"type": "code_execution_20260120", "tool_id": "x"}, cache_control={"type": "ephemeral"}), lost
    )
    assert lost.names() == ("messages.caller", "messages.cache_control")


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(levels):
        made = {"a": made}
    return made


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (use(id=None), "tool_use.id: is no string"),
        (use(id=""), "tool_use.id: is empty"),
        (use(name=1), "tool_use.name: is no string"),
        (use(input="{}"), "tool_use.input: is no object"),
        (use(input=None), "tool_use.input: is no object"),
        (use(input=deep(300)), "tool_use.input: Recursion limit reached"),
        (use(input={"n": 2**64}), "tool_use.input: Integer exceeds 64-bit range"),
    ],
)
def test_a_call_that_cannot_be_said(block: dict[str, Any], reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        tool_call(block, Lost())
    assert str(caught.value) == reason
