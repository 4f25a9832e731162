"""A request for OpenAI's `/v1/responses` as one for Anthropic's messages.

It is put as a request for chat completions, which has the same things under other
names, and goes the way of those from there: so both are clamped, lost and refused
alike. What that way tells of fields is told in the names that the caller used.

Field names: `openai.types.responses.ResponseCreateParams`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidecar.dialects.chat_to_messages import chat_to_messages
from sidecar.dialects.fields import Lost, document, documents, word
from sidecar.dialects.responses_items import chat_messages
from sidecar.dialects.translated import Translated, Untranslatable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.llm import Document

_ALIKE = frozenset(
    {
        "metadata", "parallel_tool_calls", "safety_identifier", "service_tier", "store", "stream", "stream_options",
        "temperature", "top_logprobs", "top_p", "user",
    }
)  # fmt: skip
"""Fields that chat completions have under the same name, and with the same meaning."""

_REFUSED = {
    "background": "an answer in the background can be fetched from nobody else",
    "conversation": "only the provider that keeps it knows it",
    "previous_response_id": "only the provider that keeps it knows it",
    "prompt": "only the provider that keeps it knows it",
}

_SAID_BY_DEFAULT: Document = {"background": False, "include": [], "truncation": "disabled", "prompt_cache_options": {}}
"""What a request that names the field so does not ask for."""

_NAMES = {
    "messages.image_url": "input",
    "messages.file": "input",
    "messages": "input",
    "image_url.url": "image_url",
    "file.file_data": "file_data",
    "file.filename": "filename",
    "tool_calls.function.name": "name",
    "tool_calls.function.arguments": "arguments",
    "tool_calls.id": "call_id",
    "tool_call_id": "call_id",
    "tools.function": "tools",
    "tool_choice.function": "tool_choice",
    "tool_choice.allowed_tools": "tool_choice",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
"""Names of chat completions, and what they are called here."""
_NAMED = re.compile("|".join(rf"(?:^|(?<=\.)){re.escape(name)}(?=$|[.\[])" for name in _NAMES))
_MESSAGE = re.compile(r"messages\[(\d+)\]")


def responses_to_messages(asked: Document) -> Translated:
    """Without `model`, and with `max_tokens` only if the caller set one. Raises `Untranslatable`."""
    lost = Lost()
    said = chat_messages(asked, lost)
    chat: Document = {"messages": [message for _, message in said]}
    for name, value in asked.items():
        if value is None or name in ("model", "input", "instructions"):
            continue
        if name in _ALIKE:
            chat[name] = value
        elif name == "max_output_tokens":
            chat["max_completion_tokens"] = value
        elif name == "reasoning":
            _reasoning(document(value, name), chat, lost)
        elif name == "text":
            _text(document(value, name), chat, lost)
        elif name == "tools":
            chat["tools"] = [_tool(tool) for tool in documents(value, name)]
        elif name == "tool_choice":
            chat["tool_choice"] = value if type(value) is str else _choice(document(value, name), lost)
        elif name in _SAID_BY_DEFAULT and value == _SAID_BY_DEFAULT[name]:
            continue
        elif name in _REFUSED:
            raise Untranslatable(f"{name}: {_REFUSED[name]}")
        else:
            lost.add(name)
    try:
        made = chat_to_messages(chat)
    except Untranslatable as reason:
        raise Untranslatable(_told(str(reason), [place for place, _ in said])) from None
    for name in made.dropped:
        lost.add(_renamed(name))
    return Translated(made.document, lost.names())


def _reasoning(value: Document, chat: Document, lost: Lost) -> None:
    chat["reasoning_effort"] = value.get("effort")
    lost.unknown(value, ("effort",), "reasoning.")


def _text(value: Document, chat: Document, lost: Lost) -> None:
    chat["verbosity"] = value.get("verbosity")
    lost.unknown(value, ("format", "verbosity"), "text.")
    if value.get("format") is None:
        return
    wanted = document(value["format"], "text.format")
    if wanted.get("type") == "json_schema":
        told = {name: inner for name, inner in wanted.items() if name != "type"}
        chat["response_format"] = {"type": "json_schema", "json_schema": told}
    else:
        chat["response_format"] = wanted


def _tool(tool: Document) -> Document:
    if tool.get("type") != "function":
        raise Untranslatable(f"tools: a tool of type {word(tool.get('type'))} cannot be said, only functions")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _choice(choice: Document, lost: Lost) -> Document:
    match choice.get("type"):
        case "function":
            lost.unknown(choice, ("type", "name"), "tool_choice.")
            return _chosen(choice)
        case "allowed_tools":
            lost.unknown(choice, ("type", "mode", "tools"), "tool_choice.")
            tools = [_chosen(tool) for tool in documents(choice.get("tools"), "tool_choice.tools")]
            return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode"), "tools": tools}}
        case other:
            raise Untranslatable(f"tool_choice: a choice of type {word(other)} cannot be said")


def _chosen(choice: Document) -> Document:
    return {"type": choice.get("type"), "function": {"name": choice.get("name")}}


def _renamed(name: str) -> str:
    return _NAMED.sub(lambda found: _NAMES[found[0]], name)


def _told(reason: str, places: Sequence[str]) -> str:
    """What is wrong with a field, by the caller's name for it and for the place it stands at."""
    name, colon, rest = reason.partition(":")
    name = _MESSAGE.sub(lambda found: places[int(found[1])], name)
    return _renamed(name) + colon + rest
