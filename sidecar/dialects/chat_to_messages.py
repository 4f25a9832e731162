"""A request for chat completions as one for Anthropic's messages.

Field names are those of both vendors' SDKs. What Anthropic has no field for is lost if it is about sampling, cost or
bookkeeping, and told; a request whose answer would be another one without it is not translated at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.dialects.chat_tools import say_tools
from sidecar.dialects.chat_turns import turns
from sidecar.dialects.fields import Lost, count, document, flag, items, number, text, word
from sidecar.dialects.translated import Translated, Untranslatable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.llm import Document

_USER_ID_LENGTH = 256
"""Characters of `metadata.user_id` (Anthropic's API reference)."""

_SAID_BY_DEFAULT: Document = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "store": False,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
    "metadata": {},
    "verbosity": "medium",
    "modalities": ["text"],
}
"""What a request that names the field so does not ask for."""

_NOT_LOST: dict[str, str] = {
    "n": "is more than one answer",
    "audio": "answers that are spoken cannot be asked for",
    "modalities": "answers other than text cannot be asked for",
    "web_search_options": "a search by the provider cannot be asked for",
    "functions": "is the old way to name tools",
    "function_call": "is the old way to choose a tool",
}
"""The answer would be another one without it."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A translation on its way."""

    asked: Document
    made: Document
    lost: Lost


def chat_to_messages(document: Document) -> Translated:
    """Without `model`, and with `max_tokens` only if the caller set one. Raises Untranslatable."""
    said = _Said(document, {}, Lost())
    if "messages" not in document:
        raise Untranslatable("messages: there are none")
    for name, value in document.items():
        if name == "model" or (value is None and name != "messages"):
            continue
        say = _FIELDS.get(name)
        if say is not None:
            say(value, said)
        elif name in _SAID_BY_DEFAULT and value == _SAID_BY_DEFAULT[name]:
            continue
        elif name in _NOT_LOST:
            raise Untranslatable(f"{name}: {_NOT_LOST[name]}")
        else:
            said.lost.add(name)
    return Translated(said.made, said.lost.names())


def _messages(value: Any, said: _Said) -> None:
    system, said.made["messages"] = turns(value, said.lost)
    if system:
        said.made["system"] = system


def _max_tokens(value: Any, said: _Said) -> None:
    said.made.setdefault("max_tokens", count(value, "max_tokens"))
    newer = said.asked.get("max_completion_tokens")
    if newer is not None and newer != value:
        said.lost.add("max_tokens")


def _max_completion_tokens(value: Any, said: _Said) -> None:
    said.made["max_tokens"] = count(value, "max_completion_tokens")


def _temperature(value: Any, said: _Said) -> None:
    """OpenAI's goes to 2, Anthropic's to 1."""
    said.made["temperature"] = min(number(value, "temperature"), 1)
    if value > 1:
        said.lost.add("temperature")


def _top_p(value: Any, said: _Said) -> None:
    said.made["top_p"] = number(value, "top_p")


def _stop(value: Any, said: _Said) -> None:
    """Anthropic refuses a blank one."""
    asked_for = [value] if type(value) is str else [text(one, "stop") for one in items(value, "stop")]
    stops = [one for one in asked_for if one and not one.isspace()]
    if len(stops) < len(asked_for):
        said.lost.add("stop")
    if stops:
        said.made["stop_sequences"] = stops


def _stream(value: Any, said: _Said) -> None:
    said.made["stream"] = flag(value, "stream")


def _stream_options(value: Any, said: _Said) -> None:
    """Anthropic's streams always tell their usage, and hide no lengths."""
    options = document(value, "stream_options")
    if options.get("include_obfuscation"):
        said.lost.add("stream_options.include_obfuscation")
    said.lost.unknown(options, ("include_usage", "include_obfuscation"), "stream_options.")


def _tools(_value: Any, said: _Said) -> None:
    say_tools(said.asked, said.made, said.lost)


def _tool_choice(_value: Any, said: _Said) -> None:
    """What `_tools` says already, unless there are none."""
    if said.asked.get("tools") is None:
        say_tools(said.asked, said.made, said.lost)


def _parallel_tool_calls(value: Any, _said: _Said) -> None:
    flag(value, "parallel_tool_calls")


def _response_format(value: Any, said: _Said) -> None:
    """The schema's name is a label that each must have; Anthropic always holds the model to the schema, as `strict`."""
    wanted = document(value, "response_format")
    match wanted.get("type"):
        case "text":
            said.lost.unknown(wanted, ("type",), "response_format.")
        case "json_schema":
            said.lost.unknown(wanted, ("type", "json_schema"), "response_format.")
            told = document(wanted.get("json_schema"), "response_format.json_schema")
            said.lost.unknown(told, ("name", "schema", "strict"), "response_format.json_schema.")
            schema = document(told.get("schema"), "response_format.json_schema.schema")
            said.made.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
        case other:
            raise Untranslatable(f"response_format: {word(other)} cannot be asked for, only text and json_schema")


def _reasoning_effort(value: Any, said: _Said) -> None:
    if value == "none":
        said.made["thinking"] = {"type": "disabled"}
    elif value in ("minimal", "low", "medium", "high", "xhigh", "max"):
        if value == "minimal":
            said.lost.add("reasoning_effort")
        said.made.setdefault("output_config", {})["effort"] = "low" if value == "minimal" else value
    else:
        said.lost.add("reasoning_effort")


def _safety_identifier(value: Any, said: _Said) -> None:
    _user_id("safety_identifier", value, said)


def _user(value: Any, said: _Said) -> None:
    newer = said.asked.get("safety_identifier")
    if newer is None:
        _user_id("user", value, said)
    elif newer != value:
        said.lost.add("user")


def _user_id(name: str, value: Any, said: _Said) -> None:
    """A name for bookkeeping is no reason for a 400."""
    if type(value) is str and len(value) <= _USER_ID_LENGTH:
        said.made["metadata"] = {"user_id": value}
    else:
        said.lost.add(name)


def _service_tier(value: Any, said: _Said) -> None:
    tier = {"auto": "auto", "default": "standard_only"}.get(value) if type(value) is str else None
    if tier is None:
        said.lost.add("service_tier")
    else:
        said.made["service_tier"] = tier


def _continue_final_message(value: Any, said: _Said) -> None:
    """How vLLM and SGLang are told to go on with the assistant's message: Anthropic always does with one at the end."""
    if value is not _prefilled(said.asked):
        said.lost.add("continue_final_message")


def _add_generation_prompt(value: Any, said: _Said) -> None:
    if value is _prefilled(said.asked):
        said.lost.add("add_generation_prompt")


def _prefilled(asked: Document) -> bool:
    messages = asked["messages"]
    last = messages[-1] if type(messages) is list and messages else None
    return type(last) is dict and last.get("role") == "assistant"


_FIELDS: dict[str, Callable[[Any, _Said], None]] = {
    "messages": _messages,
    "max_tokens": _max_tokens,
    "max_completion_tokens": _max_completion_tokens,
    "temperature": _temperature,
    "top_p": _top_p,
    "stop": _stop,
    "stream": _stream,
    "stream_options": _stream_options,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel_tool_calls,
    "response_format": _response_format,
    "reasoning_effort": _reasoning_effort,
    "safety_identifier": _safety_identifier,
    "user": _user,
    "service_tier": _service_tier,
    "continue_final_message": _continue_final_message,
    "add_generation_prompt": _add_generation_prompt,
}
