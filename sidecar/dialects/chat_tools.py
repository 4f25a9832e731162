"""Tools of chat completions as Anthropic's: what may be called, what must be, and how calls of the past are put."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sidecar.dialects.fields import document, documents, flag, items, some_text, text, word
from sidecar.dialects.tool_arguments import parsed
from sidecar.dialects.tool_ids import to_anthropic_id
from sidecar.dialects.translated import Untranslatable

if TYPE_CHECKING:
    from sidecar.dialects.fields import Lost
    from sidecar.llm import Document

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""What Anthropic takes as the name of a tool."""


def say_tools(asked: Document, made: Document, lost: Lost) -> None:
    """Puts `tools`, `tool_choice` and `parallel_tool_calls` of a chat request into one for Anthropic."""
    given = asked.get("tools")
    tools = [] if given is None else [_tool(tool, lost) for tool in documents(given, "tools")]
    choice, allowed = _choice(asked.get("tool_choice"), lost)
    if allowed is not None:
        tools = [tool for tool in tools if tool["name"] in allowed]
    if not tools:
        if choice["type"] in ("any", "tool") or allowed:
            raise Untranslatable("tool_choice: there is no such tool")
        return
    parallel = asked.get("parallel_tool_calls")
    if parallel is not None and not flag(parallel, "parallel_tool_calls") and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    made["tools"] = tools
    if asked.get("tool_choice") is not None or len(choice) > 1:
        made["tool_choice"] = choice


def _tool(tool: Document, lost: Lost) -> Document:
    if tool.get("type") != "function":
        raise Untranslatable(f"tools: a tool of type {word(tool.get('type'))} cannot be said, only functions")
    lost.unknown(tool, ("type", "function"), "tools.")
    function = document(tool.get("function"), "tools.function")
    lost.unknown(function, ("name", "description", "parameters", "strict"), "tools.function.")
    made: Document = {"name": _name(function.get("name"))}
    if function.get("description") is not None:
        made["description"] = text(function["description"], "tools.function.description")
    made["input_schema"] = _schema(function.get("parameters"))
    if function.get("strict") is not None:
        made["strict"] = flag(function["strict"], "tools.function.strict")
    return made


def _name(value: Any) -> str:
    name = text(value, "tools.function.name")
    if not _NAME.fullmatch(name):
        raise Untranslatable(f"tools.function.name: {word(name)} is not of 1 to 128 letters, digits, _ and -")
    return name


def _schema(parameters: Any) -> Document:
    """Without parameters a function has none; Anthropic wants to be told so, and the type with each schema."""
    if parameters is None or parameters == {}:
        return {"type": "object", "properties": {}}
    schema = document(parameters, "tools.function.parameters")
    if "type" not in schema:
        return {"type": "object", **schema}
    if schema["type"] != "object":
        raise Untranslatable(f"tools.function.parameters: are of type {word(schema['type'])}, only an object can be")
    return schema


def _choice(value: Any, lost: Lost) -> tuple[Document, frozenset[str] | None]:
    """Anthropic's choice, and the names of the only tools that it is between, None when it is between all of them."""
    simple = {None: "auto", "auto": "auto", "none": "none", "required": "any"}
    if value is None or type(value) is str:
        if value not in simple:
            raise Untranslatable(f"tool_choice: {word(value)} is unknown")
        return {"type": simple[value]}, None
    choice = document(value, "tool_choice")
    lost.unknown(choice, ("type", "function", "allowed_tools"), "tool_choice.")
    match choice.get("type"):
        case "function":
            return {"type": "tool", "name": _named(choice)}, None
        case "allowed_tools":
            allowed = document(choice.get("allowed_tools"), "tool_choice.allowed_tools")
            names = frozenset(_named(tool) for tool in documents(allowed.get("tools"), "tool_choice.allowed_tools"))
            mode = allowed.get("mode")
            if mode not in ("auto", "required"):
                raise Untranslatable(f"tool_choice.allowed_tools.mode: {word(mode)} is unknown")
            return {"type": simple[mode]}, names
        case other:
            raise Untranslatable(f"tool_choice: a choice of type {word(other)} cannot be said")


def _named(choice: Document) -> str:
    if choice.get("type") != "function":
        raise Untranslatable(f"tool_choice: a tool of type {word(choice.get('type'))} cannot be said, only functions")
    return text(document(choice.get("function"), "tool_choice.function").get("name"), "tool_choice.function.name")


def tool_uses(calls: Any, lost: Lost) -> list[Document]:
    """Anthropic's blocks for the `tool_calls` of an assistant's message."""
    return [_tool_use(document(call, "tool_calls"), lost) for call in items(calls, "tool_calls")]


def _tool_use(call: Document, lost: Lost) -> Document:
    if call.get("type", "function") != "function":
        raise Untranslatable(f"tool_calls: a call of type {word(call['type'])} cannot be said, only of functions")
    lost.unknown(call, ("id", "type", "function", "index"), "messages.tool_calls.")
    function = document(call.get("function"), "tool_calls.function")
    lost.unknown(function, ("name", "arguments"), "messages.tool_calls.function.")
    return {
        "type": "tool_use",
        "id": to_anthropic_id(some_text(call.get("id"), "tool_calls.id")),
        "name": some_text(function.get("name"), "tool_calls.function.name"),
        "input": _input(text(function.get("arguments"), "tool_calls.function.arguments")),
    }


def _input(arguments: str) -> Document:
    try:
        return parsed(arguments)
    except ValueError as error:
        raise Untranslatable(f"tool_calls.function.arguments: {error}") from error
