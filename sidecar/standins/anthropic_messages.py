"""Messages as Anthropic answers them, whole and streamed (anthropic.types)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sidecar.standins.llm_answers import Answer, Part, Redacted, Refusal, Text, Thinking, ToolCall, words
from sidecar.standins.llm_model import Question
from sidecar.standins.llm_stream import Event, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.llm import Document, Usage

STOPS = {"length": "max_tokens", "stop": "stop_sequence"}
"""Why an answer was cut short, in Anthropic's words."""


def blocks_of(content: object) -> list[Document]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []


def text_of(content: object) -> str:
    return "\n".join(str(one.get("text")) for one in blocks_of(content) if one.get("type") == "text")


def question(document: Document) -> Question:
    messages: list[Document] = document["messages"]
    asked = Question()
    said = [text_of(one["content"]) for one in messages if one["role"] == "user"]
    asked.text = next((text for text in reversed(said) if text), "")
    last = messages[-1]
    if last["role"] == "assistant":
        asked.begun = text_of(last["content"])
    told = [text_of(one.get("content")) for one in blocks_of(last["content"]) if one.get("type") == "tool_result"]
    asked.told = " ".join(told) if told else None
    choice = document.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {"type": "auto"}
    if choice.get("type") != "none" and not asked.begun:
        tools = document.get("tools") or []
        asked.tools = {str(one["name"]): one.get("input_schema") or {} for one in tools}
        asked.forced = {"any": "*", "tool": str(choice.get("name"))}.get(str(choice.get("type")), "")
        asked.parallel = choice.get("disable_parallel_tool_use") is not True
    config = document.get("output_config")
    format_ = config.get("format") if isinstance(config, dict) else None
    format_ = format_ or document.get("output_format")
    if isinstance(format_, dict) and isinstance(format_.get("schema"), dict):
        asked.schema = format_["schema"]
    thinking = document.get("thinking")
    asked.thinks = isinstance(thinking, dict) and thinking.get("type") in {"enabled", "adaptive"} and not asked.begun
    return asked


def texts(document: Document) -> list[str]:
    """All that costs tokens on the way in."""
    blocks = [block for message in document["messages"] for block in blocks_of(message["content"])]
    tools = document.get("tools")
    return [text_of(document.get("system")), json.dumps(tools) if tools else "", *map(inner, blocks)]


def inner(block: Document) -> str:
    match block.get("type"):
        case "text":
            return str(block.get("text"))
        case "tool_use":
            return json.dumps(block.get("input"))
        case "tool_result":
            return text_of(block.get("content"))
        case _:
            return ""


def usage(answer: Answer, cost: Usage) -> Document:
    """`input_tokens` is what came from no cache and went into none."""
    return {
        "input_tokens": max(0, cost.input - cost.cached - answer.cache_written),
        "cache_creation_input_tokens": answer.cache_written,
        "cache_read_input_tokens": cost.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": answer.cache_written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": cost.output,
        "output_tokens_details": {"thinking_tokens": answer.thinking_tokens},
        "service_tier": "standard",
    }


def stop(answer: Answer) -> str:
    if answer.stop:
        return STOPS.get(answer.stop, answer.stop)
    if answer.refusal is not None:
        return "refusal"
    return "tool_use" if answer.tools else "end_turn"


def details(answer: Answer) -> Document | None:
    if stop(answer) != "refusal":
        return None
    return {"type": "refusal", "category": None, "explanation": answer.refusal}


def content(answer: Answer, ids: list[str], *, omitted: bool) -> list[Document]:
    """The blocks; a refusal has none. `omitted`: what was thought is not shown."""
    left = iter(ids)
    made = (block(part, left, omitted=omitted) for part in answer.parts)
    return [one for one in made if one is not None]


def block(part: Part, ids: Iterator[str], *, omitted: bool) -> Document | None:
    match part:
        case Text():
            return {"type": "text", "text": part.text, "citations": None}
        case Thinking():
            return {"type": "thinking", "thinking": "" if omitted else part.text, "signature": part.signed}
        case Redacted():
            return {"type": "redacted_thinking", "data": part.data}
        case ToolCall():
            value = part.arguments if isinstance(part.arguments, dict) else parsed(part.arguments)
            return {"type": "tool_use", "id": next(ids), "name": part.name, "input": value}
        case Refusal():
            return None


def parsed(text: str) -> Document:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def message(id_: str, model: str, blocks: list[Document], told: Document) -> Document:
    return {
        "id": id_,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": told,
    }


def why(answer: Answer) -> Document:
    return {
        "stop_reason": stop(answer),
        "stop_sequence": answer.stop_sequence,
        "stop_details": details(answer),
    }


def stream(head: Document, answer: Answer, ids: list[str], told: Document, *, omitted: bool) -> list[Event]:
    """`head` is the message without content; `told` its usage at the end."""
    begun = {**told, "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 0}}
    made = [event({"type": "message_start", "message": {**head, "usage": begun}})]
    left = iter(ids)
    index = 0
    for part in answer.parts:
        whole = block(part, left, omitted=omitted)
        if whole is None:
            continue
        start = event({"type": "content_block_start", "index": index, "content_block": empty(whole)})
        made.append(start)
        if index == 0:
            made.append(event({"type": "ping"}))
        made += [
            event({"type": "content_block_delta", "index": index, "delta": delta}, Stage.TOKEN)
            for delta in deltas(part, whole)
        ]
        made.append(event({"type": "content_block_stop", "index": index}))
        index += 1
    shown = {name: value for name, value in told.items() if name not in {"cache_creation", "service_tier"}}
    made.append(event({"type": "message_delta", "delta": why(answer), "usage": shown}, Stage.FINISH))
    made.append(event({"type": "message_stop"}, Stage.END))
    return made


def event(data: Document, stage: Stage = Stage.QUIET) -> Event:
    return Event(data, data["type"], stage)


def empty(whole: Document) -> Document:
    """The block as its start announces it. What comes in one piece is whole there."""
    cleared: Document = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: cleared.get(name, value) for name, value in whole.items()}


def deltas(part: Part, whole: Document) -> Iterator[Document]:
    """What each event adds. A tool without input has none."""
    match part:
        case Text():
            yield from ({"type": "text_delta", "text": delta} for delta in part.deltas)
        case Thinking():
            for delta in words(whole["thinking"]):
                yield {"type": "thinking_delta", "thinking": delta}
            yield {"type": "signature_delta", "signature": part.signed}
        case ToolCall() if part.arguments:
            yield {"type": "input_json_delta", "partial_json": ""}
            yield from ({"type": "input_json_delta", "partial_json": delta} for delta in part.deltas)
        case _:
            pass
