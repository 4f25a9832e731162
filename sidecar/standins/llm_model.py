"""What a stand-in model says of itself, when no test has told it: the same to the same question."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.standins.llm_answers import Answer, Part, Text, Thinking, ToolCall, words
from sidecar.standins.llm_json import fitting

if TYPE_CHECKING:
    from sidecar.llm import Document


@dataclass(slots=True)
class Question:
    """What a request asks, whatever its dialect.

    `tools` are names and schemas of arguments; `forced` is the tool that must be called, `"*"` for any; `told` is what
    tools answered, when that is what came last. `begun` is the text that the answer must go on behind.
    """

    text: str = ""
    told: str | None = None
    begun: str = ""
    tools: dict[str, Document] | None = None
    forced: str = ""
    parallel: bool = True
    schema: Document | None = None
    json: bool = False
    thinks: bool = False


def own_answer(question: Question) -> Answer:
    """Calls the tools whose names the text has, else the first one, until their results came; answers JSON where that
    is asked; says what it was told otherwise.
    """
    parts: list[Part] = []
    if question.thinks:
        parts.append(Thinking(f"The caller said: {question.text}"))
    calls = called(question)
    if calls:
        return Answer(*parts, *calls)
    if question.schema is not None or question.json:
        text = json.dumps(fitting(question.schema or {"type": "object"}), ensure_ascii=False)
    elif question.told is not None:
        text = f"The tool said: {question.told}"
    else:
        text = f"You said: {question.text}"
    if question.begun:
        text = text.removeprefix(question.begun) or " That is all."
    return Answer(*parts, Text(tuple(words(text))))


def called(question: Question) -> list[ToolCall]:
    tools = question.tools or {}
    if question.forced and question.forced != "*":
        names = [question.forced]
    elif question.told is not None and not question.forced:
        names = []
    else:
        names = [name for name in tools if name in question.text] or list(tools)[:1]
    if not question.parallel:
        names = names[:1]
    return [ToolCall(name, arguments(tools.get(name))) for name in names]


def arguments(schema: Document | None) -> Document:
    value = fitting(schema or {"type": "object"})
    return value if isinstance(value, dict) else {}
