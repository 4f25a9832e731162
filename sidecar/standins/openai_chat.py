"""Chat completions as OpenAI answers them, whole and streamed (openai.types.chat)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from sidecar.standins.llm_answers import Answer, Redacted, Refusal, Text, Thinking, ToolCall, words
from sidecar.standins.llm_model import Question
from sidecar.standins.llm_provider import ApiError
from sidecar.standins.llm_stream import Event, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sidecar.llm import Document, Usage

DONE = Event(b"[DONE]", stage=Stage.END)


def text_of(content: object) -> str:
    """Of a message's content: a string, or its text parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def messages_of(document: Document) -> list[Document]:
    messages = document.get("messages")
    return [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []


def question(document: Document) -> Question:
    """What a chat request asks."""
    messages = messages_of(document)
    said = [text_of(one.get("content")) for one in messages if one.get("role") == "user"]
    results = itertools.takewhile(lambda one: one.get("role") == "tool", reversed(messages))
    told = [text_of(one.get("content")) for one in results][::-1]
    asked = Question(text=said[-1] if said else "", told=" ".join(told) if told else None)
    choice = document.get("tool_choice", "auto")
    if choice != "none":
        asked.tools = tools_of(document)
        asked.forced = forced(choice)
        asked.parallel = document.get("parallel_tool_calls") is not False
    asked.schema, asked.json = wanted_format(document.get("response_format"))
    return asked


def tools_of(document: Document) -> dict[str, Document]:
    tools = document.get("tools")
    functions = [one.get("function") for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []
    return {str(one.get("name")): one.get("parameters") or {} for one in functions if isinstance(one, dict)}


def forced(choice: object) -> str:
    """The name of the tool that must be called, `"*"` for any, empty for none."""
    if isinstance(choice, dict):
        function = choice.get("function")
        return str((function if isinstance(function, dict) else choice).get("name", "*"))
    return "*" if choice == "required" else ""


def wanted_format(format: object) -> tuple[Document | None, bool]:  # noqa: A002  (its name in the API)
    if not isinstance(format, dict):
        return None, False
    inner = format.get("json_schema")
    schema = (inner if isinstance(inner, dict) else format).get("schema")
    return schema if isinstance(schema, dict) else None, format.get("type") == "json_object"


def usage(answer: Answer, cost: Usage) -> Document:
    return {
        "prompt_tokens": cost.input,
        "completion_tokens": cost.output,
        "total_tokens": cost.total,
        "prompt_tokens_details": {
            "cached_tokens": cost.cached,
            "cache_write_tokens": answer.cache_written,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": answer.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def stop(answer: Answer) -> str:
    if answer.stop:
        return answer.stop
    return "tool_calls" if answer.tools else "stop"


def message(answer: Answer, ids: list[str]) -> Document:
    said = answer.text
    made: Document = {
        "role": "assistant",
        "content": said if said or not (answer.tools or answer.refusal) else None,
        "refusal": answer.refusal,
        "annotations": [],
    }
    if answer.tools:
        made["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": call.name, "arguments": call.json}}
            for id_, call in zip(ids, answer.tools, strict=True)
        ]
    return made


def whole(head: Document, answer: Answer, ids: list[str], cost: Usage, choices: int) -> Document:
    """`head` has id, created and model."""
    return {
        **head,
        "object": "chat.completion",
        "choices": [
            {"index": index, "message": message(answer, ids), "logprobs": None, "finish_reason": stop(answer)}
            for index in range(choices)
        ],
        "usage": usage(answer, cost),
        "service_tier": "default",
        "system_fingerprint": "fp_standin",
    }


def stream(head: Document, answer: Answer, ids: list[str], told: Document | None, choices: int) -> list[Event]:
    """`told` is the usage, when the caller asked for it: then every chunk has the field, and one more comes."""
    made: list[Event] = []

    def chunk(choices: list[Document], stage: Stage) -> None:
        data = {
            **head,
            "object": "chat.completion.chunk",
            "service_tier": "default",
            "system_fingerprint": "fp_standin",
            "choices": choices,
        }
        if told is not None:
            data["usage"] = told if stage is Stage.USAGE else None
        made.append(Event(data, stage=stage))

    def choice(index: int, delta: Document, reason: str | None = None) -> Document:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}

    for index in range(choices):
        first: Document = {"role": "assistant", "content": None if answer.tools and not answer.text else ""}
        chunk([choice(index, {**first, "refusal": None})], Stage.QUIET)
    for delta in deltas(answer, ids):
        for index in range(choices):
            chunk([choice(index, delta)], Stage.TOKEN)
    for index in range(choices):
        chunk([choice(index, {}, stop(answer))], Stage.FINISH)
    if told is not None:
        chunk([], Stage.USAGE)
    return [*made, DONE]


def deltas(answer: Answer, ids: list[str]) -> Iterator[Document]:
    """What each chunk of content adds."""
    calls: list[Iterator[Document]] = []
    for part in answer.parts:
        match part:
            case Text():
                yield from ({"content": delta} for delta in part.deltas)
            case Refusal():
                yield from ({"refusal": delta} for delta in words(part.text))
            case ToolCall():
                events = call_deltas(part, len(calls), ids[len(calls)])
                calls.append(events)
                if not answer.interleaved:
                    yield from events
            case Thinking() | Redacted():
                pass  # what OpenAI's models think is never said here, only counted
    if answer.interleaved:
        yield from alternating(calls)


def call_deltas(call: ToolCall, index: int, id_: str) -> Iterator[Document]:
    function: Document = {"name": call.name, "arguments": ""}
    yield {"tool_calls": [{"index": index, "id": id_, "type": "function", "function": function}]}
    for delta in call.deltas:
        yield {"tool_calls": [{"index": index, "function": {"arguments": delta}}]}


def alternating(streams: Iterable[Iterator[Document]]) -> Iterator[Document]:
    """One of each in turn until all have ended."""
    missing: Any = object()
    for row in itertools.zip_longest(*streams, fillvalue=missing):
        yield from (one for one in row if one is not missing)


def check_tools(messages: list[Document]) -> None:
    """Raise `ApiError` where a tool's result answers no call, or a call has no result."""
    waiting: dict[str, int] = {}
    for at, one in enumerate(messages):
        role = one.get("role")
        if role == "tool":
            if waiting.pop(str(one.get("tool_call_id")), None) is None:
                text = (
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'."
                )
                raise ApiError(400, "invalid_request_error", text, None, f"messages.[{at}].role")
            continue
        if waiting:
            break
        calls = one.get("tool_calls")
        if role == "assistant" and isinstance(calls, list):
            waiting = {str(call.get("id")): at for call in calls if isinstance(call, dict)}
    if waiting:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
        )
        raise ApiError(400, "invalid_request_error", text, None, f"messages.[{next(iter(waiting.values())) + 1}].role")
