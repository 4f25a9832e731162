"""A request for Anthropic's messages as one for chat completions.

Field names are those of both vendors' SDKs. OpenAI itself and the many servers that are compatible with it differ in
some of them. What a chat has no field for is lost if it is about sampling, cost or bookkeeping, and told; a request
whose answer would be another one without it is not translated at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.dialects.fields import Lost, count, document, flag, items, number, text, word
from sidecar.dialects.message_tools import say_functions
from sidecar.dialects.message_turns import messages
from sidecar.dialects.strict_schema import fits_strict
from sidecar.dialects.translated import Translated, Untranslatable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.llm import Document

_STOPS = 4
"""OpenAI takes so many (its SDK)."""
_USER_ID_LENGTH = 128
"""Characters of `safety_identifier` (OpenAI's SDK)."""
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_LOW_BUDGET, _HIGH_BUDGET = 2048, 8192
"""Tokens to think with: fewer than the first are a low effort, as many as the second or more a high one."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A translation on its way."""

    asked: Document
    made: Document
    lost: Lost
    compatible: bool


def messages_to_chat(document: Document, *, compatible: bool) -> Translated:
    """Without `model`. `compatible`: for a server that is like OpenAI's but is not OpenAI's. Raises Untranslatable."""
    said = _Said(document, {}, Lost(), compatible)
    if "messages" not in document:
        raise Untranslatable("messages: there are none")
    for name, value in document.items():
        if name == "model" or (value is None and name != "messages"):
            continue
        say = _FIELDS.get(name)
        if say is not None:
            say(value, said)
        else:
            said.lost.add(name)
    return Translated(said.made, said.lost.names())


def _messages(value: Any, said: _Said) -> None:
    chat = said.made["messages"] = messages(said.asked.get("system"), value, said.lost)
    last = chat[-1]
    if last["role"] != "assistant":
        return
    if not said.compatible or "tool_calls" in last:
        raise Untranslatable("messages: the last one is the assistant's (prefill), to go on with cannot be asked for")
    said.made["continue_final_message"] = True
    said.made["add_generation_prompt"] = False


def _system(_value: Any, _said: _Said) -> None:
    """Said with the messages."""


def _max_tokens(value: Any, said: _Said) -> None:
    """OpenAI's newer models refuse the older name, which is the only one that many other servers know."""
    said.made["max_tokens" if said.compatible else "max_completion_tokens"] = count(value, "max_tokens")


def _temperature(value: Any, said: _Said) -> None:
    said.made["temperature"] = number(value, "temperature")


def _top_p(value: Any, said: _Said) -> None:
    said.made["top_p"] = number(value, "top_p")


def _stop_sequences(value: Any, said: _Said) -> None:
    stops = [text(one, "stop_sequences") for one in items(value, "stop_sequences")]
    if len(stops) > _STOPS:
        said.lost.add("stop_sequences")
    if stops:
        said.made["stop"] = stops[:_STOPS]


def _stream(value: Any, said: _Said) -> None:
    """Anthropic's streams end with their usage."""
    said.made["stream"] = flag(value, "stream")
    if value:
        said.made["stream_options"] = {"include_usage": True}


def _tools(_value: Any, said: _Said) -> None:
    say_functions(said.asked, said.made, said.lost, compatible=said.compatible)


def _tool_choice(_value: Any, said: _Said) -> None:
    """What `_tools` says already, unless there are none."""
    if said.asked.get("tools") is None:
        say_functions(said.asked, said.made, said.lost, compatible=said.compatible)


def _mcp_servers(value: Any, _said: _Said) -> None:
    if value != []:
        raise Untranslatable("mcp_servers: tools of the provider's own")


def _output_config(value: Any, said: _Said) -> None:
    config = document(value, "output_config")
    said.lost.unknown(config, ("effort", "format"), "output_config.")
    if config.get("format") is not None:
        _say_format("output_config.format", config["format"], said)
    effort = config.get("effort")
    if effort is None:
        return
    if effort in _EFFORTS and _thinking_type(said.asked) != "disabled":
        said.made["reasoning_effort"] = effort
    else:
        said.lost.add("output_config.effort")


def _output_format(value: Any, said: _Said) -> None:
    """How `output_config.format` was named before it was there for all."""
    _say_format("output_format", value, said)


def _say_format(name: str, value: Any, said: _Said) -> None:
    """OpenAI wants a name, and takes as strict only some of the schemas that Anthropic holds a model to."""
    wanted = document(value, name)
    if wanted.get("type") != "json_schema":
        raise Untranslatable(f"{name}: {word(wanted.get('type'))} cannot be asked for, only json_schema")
    said.lost.unknown(wanted, ("type", "schema"), f"{name}.")
    schema = document(wanted.get("schema"), f"{name}.schema")
    told: Document = {"name": "response", "schema": schema}
    if fits_strict(schema):
        told["strict"] = True
    else:
        said.lost.add(name)
    said.made["response_format"] = {"type": "json_schema", "json_schema": told}


def _thinking(value: Any, said: _Said) -> None:
    """An effort that is told besides says it; else a budget is put as one of three."""
    thinking = document(value, "thinking")
    kind = thinking.get("type")
    if kind not in ("adaptive", "enabled"):
        said.lost.add("thinking")
        return
    said.lost.unknown(thinking, ("type", "budget_tokens"), "thinking.")
    budget = thinking.get("budget_tokens")
    if budget is not None:
        said.lost.add("thinking.budget_tokens")
    config = said.asked.get("output_config")
    if type(config) is dict and config.get("effort") is not None:
        return
    if budget is None:
        said.lost.add("thinking")
        return
    tokens = count(budget, "thinking.budget_tokens")
    effort = "low" if tokens < _LOW_BUDGET else "medium" if tokens < _HIGH_BUDGET else "high"
    said.made["reasoning_effort"] = effort


def _thinking_type(asked: Document) -> Any:
    thinking = asked.get("thinking")
    return thinking.get("type") if type(thinking) is dict else None


def _metadata(value: Any, said: _Said) -> None:
    """OpenAI wants the newer name, which other servers do not know."""
    metadata = document(value, "metadata")
    said.lost.unknown(metadata, ("user_id",), "metadata.")
    user = metadata.get("user_id")
    if type(user) is str and len(user) <= _USER_ID_LENGTH:
        said.made["user" if said.compatible else "safety_identifier"] = user
    elif user is not None:
        said.lost.add("metadata.user_id")


def _service_tier(value: Any, said: _Said) -> None:
    tier = {"auto": "auto", "standard_only": "default"}.get(value) if type(value) is str else None
    if tier is None:
        said.lost.add("service_tier")
    else:
        said.made["service_tier"] = tier


_FIELDS: dict[str, Callable[[Any, _Said], None]] = {
    "messages": _messages,
    "system": _system,
    "max_tokens": _max_tokens,
    "temperature": _temperature,
    "top_p": _top_p,
    "stop_sequences": _stop_sequences,
    "stream": _stream,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "mcp_servers": _mcp_servers,
    "output_config": _output_config,
    "output_format": _output_format,
    "thinking": _thinking,
    "metadata": _metadata,
    "service_tier": _service_tier,
}
