"""Anthropic's tools as those of chat completions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.dialects.fields import document, documents, flag, some_text, text, word
from sidecar.dialects.strict_schema import fits_strict
from sidecar.dialects.tool_ids import from_anthropic_id
from sidecar.dialects.translated import Untranslatable

if TYPE_CHECKING:
    from sidecar.dialects.fields import Lost
    from sidecar.llm import Document

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What OpenAI takes as the name of a function (`FunctionDefinition` of its SDK)."""
_CHOICES: Document = {"auto": "auto", "any": "required", "none": "none"}


def say_functions(asked: Document, made: Document, lost: Lost, *, compatible: bool) -> None:
    """Puts `tools` and `tool_choice` of a request for messages into one for chat completions.

    Compatible servers take longer names than OpenAI does.
    """
    given = asked.get("tools")
    tools = [] if given is None else [_function(tool, lost, compatible) for tool in documents(given, "tools")]
    wanted = asked.get("tool_choice")
    choice: Document = {"type": "auto"} if wanted is None else document(wanted, "tool_choice")
    said = _choice(choice, lost)
    parallel = choice.get("disable_parallel_tool_use")
    if not tools:
        if said not in ("auto", "none"):
            raise Untranslatable("tool_choice: there is no such tool")
        return
    made["tools"] = tools
    if wanted is not None:
        made["tool_choice"] = said
    if parallel is not None and flag(parallel, "tool_choice.disable_parallel_tool_use"):
        made["parallel_tool_calls"] = False


def _function(tool: Document, lost: Lost, compatible: bool) -> Document:
    if tool.get("type") not in (None, "custom"):
        raise Untranslatable(f"tools: {word(tool['type'])} is a tool of the provider's own")
    if tool.get("allowed_callers") not in (None, ["direct"]):
        lost.add("tools.allowed_callers")
    lost.unknown(tool, ("type", "name", "description", "input_schema", "strict", "allowed_callers"), "tools.")
    name = some_text(tool.get("name"), "tools.name")
    if not compatible and not _NAME.fullmatch(name):
        raise Untranslatable(f"tools.name: {word(name)} is not of 1 to 64 letters, digits, _ and -")
    schema = document(tool.get("input_schema"), "tools.input_schema")
    if "properties" not in schema and schema.get("type") == "object":
        schema = {**schema, "properties": {}}  # OpenAI: "object schema missing properties"
    function: Document = {"name": name, "parameters": schema}
    if tool.get("description") is not None:
        function["description"] = text(tool["description"], "tools.description")
    strict = tool.get("strict")
    if strict is not None:
        if flag(strict, "tools.strict") and not fits_strict(schema):
            lost.add("tools.strict")
        else:
            function["strict"] = strict
    return {"type": "function", "function": function}


def _choice(choice: Document, lost: Lost) -> Any:
    lost.unknown(choice, ("type", "name", "disable_parallel_tool_use"), "tool_choice.")
    kind = choice.get("type")
    if kind == "tool":
        return {"type": "function", "function": {"name": some_text(choice.get("name"), "tool_choice.name")}}
    if type(kind) is not str or kind not in _CHOICES:
        raise Untranslatable(f"tool_choice: {word(kind)} is unknown")
    return _CHOICES[kind]


def tool_call(block: Document, lost: Lost) -> Document:
    """The entry of `tool_calls` for Anthropic's block `tool_use`."""
    if block.get("caller") not in (None, {"type": "direct"}):
        lost.add("messages.caller")
    lost.unknown(block, ("type", "id", "name", "input", "caller"), "messages.")
    try:
        arguments = orjson.dumps(document(block.get("input"), "tool_use.input")).decode()
    except TypeError as error:  # beyond 254 levels, or a whole number beyond 64 bits: it can be read, not written
        raise Untranslatable(f"tool_use.input: {error}") from error
    return {
        "id": from_anthropic_id(some_text(block.get("id"), "tool_use.id")),
        "type": "function",
        "function": {"name": some_text(block.get("name"), "tool_use.name"), "arguments": arguments},
    }
