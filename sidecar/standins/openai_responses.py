"""The Responses API as OpenAI answers it, whole and streamed (openai.types.responses)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.standins.llm_answers import Answer, Part, Redacted, Refusal, Text, Thinking, ToolCall, words
from sidecar.standins.llm_model import Question
from sidecar.standins.llm_stream import Event, Stage
from sidecar.standins.openai_chat import forced, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.llm import Document, Usage
    from sidecar.standins.llm_provider import ApiError

TOLD_BACK: Document = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What the answer repeats of the request, and what it says where the request was silent."""


def items_of(document: Document) -> list[Document]:
    given = document.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def texts(document: Document) -> list[str]:
    items = items_of(document)
    return [str(document.get("instructions") or ""), *(text_of(one.get("content")) for one in items)]


def question(document: Document) -> Question:
    items = items_of(document)
    said = [text_of(one.get("content")) for one in items if one.get("role") == "user"]
    results = itertools.takewhile(lambda one: one.get("type") == "function_call_output", reversed(items))
    told = [text_of(one.get("output")) for one in results][::-1]
    asked = Question(text=said[-1] if said else "", told=" ".join(told) if told else None)
    choice = document.get("tool_choice", "auto")
    if choice != "none":
        tools = document.get("tools")
        functions = [one for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []
        asked.tools = {
            str(one.get("name")): one.get("parameters") or {} for one in functions if one.get("type") == "function"
        }
        asked.forced = forced(choice)
        asked.parallel = document.get("parallel_tool_calls") is not False
    text = document.get("text")
    format_ = text.get("format") if isinstance(text, dict) else None
    if isinstance(format_, dict):
        schema = format_.get("schema")
        asked.schema = schema if isinstance(schema, dict) else None
        asked.json = format_.get("type") == "json_object"
    return asked


def error_event(error: ApiError) -> Event:
    data = {
        "type": "error",
        "code": error.code or error.type,
        "message": error.message,
        "param": error.param,
        "sequence_number": 0,
    }
    return Event(data, "error")


@dataclass(slots=True)
class Made:
    """One response to `asked`. `serial` makes its ids."""

    serial: str
    model: str
    created: int
    asked: Document
    answer: Answer
    cost: Usage
    _number: Iterator[int] = field(default_factory=itertools.count)

    @property
    def usage(self) -> Document:
        return {
            "input_tokens": self.cost.input,
            "input_tokens_details": {
                "cached_tokens": self.cost.cached,
                "cache_write_tokens": self.answer.cache_written,
            },
            "output_tokens": self.cost.output,
            "output_tokens_details": {"reasoning_tokens": self.answer.thinking_tokens},
            "total_tokens": self.cost.total,
        }

    @property
    def status(self) -> str:
        return "incomplete" if self.answer.stop in {"length", "content_filter"} else "completed"

    def whole(self) -> Document:
        items = [self._item(at, part, self.status) for at, part in enumerate(self._parts())]
        return self._response(self.status, items, self.usage)

    def stream(self) -> list[Event]:
        made = [
            self._event("response.created", response=self._response("in_progress", [], None)),
            self._event("response.in_progress", response=self._response("in_progress", [], None)),
        ]
        for at, part in enumerate(self._parts()):
            made += self._item_events(at, part)
        made.append(self._event(f"response.{self.status}", response=self.whole(), stage=Stage.END))
        return made

    def _parts(self) -> list[Part]:
        """The items of the output; thinking that is redacted has none here."""
        return [part for part in self.answer.parts if not isinstance(part, Redacted)]

    def _response(self, status: str, output: list[Document], usage: Document | None) -> Document:
        reason = {"length": "max_output_tokens"}.get(self.answer.stop, self.answer.stop)
        told = {name: self.asked.get(name, default) for name, default in TOLD_BACK.items()}
        return {
            "id": f"resp_{self.serial}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": reason} if status == "incomplete" else None,
            "model": self.model,
            "output": output,
            "service_tier": "default",
            **told,
            "usage": usage,
        }

    def _item(self, at: int, part: Part, status: str, *, begun: bool = False) -> Document:
        """`begun`: as it is announced, still empty."""
        match part:
            case ToolCall():
                return {
                    "id": f"fc_{self.serial}_{at}",
                    "type": "function_call",
                    "status": status,
                    "arguments": "" if begun else part.json,
                    "call_id": part.id or f"call_{self.serial}_{at}",
                    "name": part.name,
                }
            case Thinking():
                summary = [] if begun else [{"type": "summary_text", "text": part.text}]
                return {"id": f"rs_{self.serial}_{at}", "type": "reasoning", "summary": summary}
            case _:
                return {
                    "id": f"msg_{self.serial}_{at}",
                    "type": "message",
                    "status": status,
                    "role": "assistant",
                    "content": [] if begun else [content(part)],
                }

    def _event(self, type_: str, *, stage: Stage = Stage.QUIET, **members: object) -> Event:
        data = {"type": type_, "sequence_number": next(self._number), **members}
        return Event(data, type_, stage)

    def _item_events(self, at: int, part: Part) -> Iterator[Event]:
        item = self._item(at, part, "in_progress", begun=True)
        place = {"item_id": item["id"], "output_index": at}
        yield self._event("response.output_item.added", output_index=at, item=item)
        match part:
            case ToolCall():
                yield from self._deltas("response.function_call_arguments", part.deltas, place)
                yield self._event("response.function_call_arguments.done", **place, arguments=part.json)
            case Thinking():
                inner = {**place, "summary_index": 0}
                summary = {"type": "summary_text", "text": ""}
                yield self._event("response.reasoning_summary_part.added", **inner, part=summary)
                yield from self._deltas("response.reasoning_summary_text", words(part.text), inner)
                yield self._event("response.reasoning_summary_text.done", **inner, text=part.text)
                yield self._event("response.reasoning_summary_part.done", **inner, part={**summary, "text": part.text})
            case Text() | Refusal():
                yield from self._message_events(part, {**place, "content_index": 0})
        yield self._event("response.output_item.done", output_index=at, item=self._item(at, part, self.status))

    def _message_events(self, part: Text | Refusal, inner: Document) -> Iterator[Event]:
        refused = isinstance(part, Refusal)
        empty = content(Refusal("") if refused else Text(()))
        yield self._event("response.content_part.added", **inner, part=empty)
        if isinstance(part, Refusal):
            yield from self._deltas("response.refusal", words(part.text), inner)
            yield self._event("response.refusal.done", **inner, refusal=part.text)
        else:
            yield from self._deltas("response.output_text", list(part.deltas), {**inner, "logprobs": []})
            yield self._event("response.output_text.done", **inner, text=part.text, logprobs=[])
        yield self._event("response.content_part.done", **inner, part=content(part))

    def _deltas(self, type_: str, deltas: list[str], members: Document) -> Iterator[Event]:
        for delta in deltas:
            yield self._event(f"{type_}.delta", stage=Stage.TOKEN, **members, delta=delta)


def content(part: Part) -> Document:
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    text = part.text if isinstance(part, Text) else ""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
