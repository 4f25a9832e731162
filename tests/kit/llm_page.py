"""The tables of docs/llm.md as what they claim: each row is asked of the translator that it speaks of.

A row says what is asked, what comes of it, and what is lost. All three are JSON as it
stands in requests and answers; `refused` and `broken` are followed by the translator's
own words. What a row leaves out is the same in all rows of its table.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.dialects.chat_events import ChatEvents
from sidecar.dialects.chat_reply import to_completion
from sidecar.dialects.chat_to_messages import chat_to_messages
from sidecar.dialects.message_events import MessageEvents
from sidecar.dialects.message_reply import to_message
from sidecar.dialects.messages_to_chat import messages_to_chat
from sidecar.dialects.response_events import ResponseEvents
from sidecar.dialects.response_reply import to_response
from sidecar.dialects.responses_to_messages import responses_to_messages
from sidecar.dialects.sse import Splitter
from sidecar.dialects.translated import BadEvent, Translated, Untranslatable
from tests.kit.commands import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.llm import Document

PAGE = ROOT / "docs" / "llm.md"
CODE = re.compile(r"(`+)(.+?)\1")
CREATED = 1
HI: Document = {"role": "user", "content": "Hi"}
FUNCTIONS: list[Document] = [{"type": "function", "function": {"name": name}} for name in "fg"]
TOOLS: list[Document] = [{"name": name, "input_schema": {"type": "object"}} for name in "fg"]


@dataclass(frozen=True)
class Row:
    """`came` is the texts of what comes of it, `no` the words of a refusal."""

    asked: str
    came: tuple[str, ...]
    no: str
    lost: tuple[str, ...]


def codes(cell: str) -> tuple[str, ...]:
    return tuple(found[1].strip() if len(found[0]) > 1 else found[1] for found in CODE.findall(cell))


def table(heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading, without the table's head."""
    behind = re.split(rf"^#+ {re.escape(heading)}$", PAGE.read_text(), maxsplit=1, flags=re.MULTILINE)[1]
    found = re.search(r"^\|---.*\n((?:\|.*\n)+)", behind, re.MULTILINE)
    assert found is not None
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]


def rows(heading: str) -> list[Row]:
    found = []
    for asked, came, *lost in table(heading):
        no = came.startswith(("refused", "broken"))
        found.append(
            Row(
                codes(asked)[0],
                () if no else codes(came),
                codes(came)[0] if no else "",
                codes(lost[0]) if lost else (),
            )
        )
    return found


def fields(text: str) -> Document:
    """An object whose braces are left out."""
    value: Document = json.loads(f"{{{text}}}")
    return value


# Requests: each takes what a row asks, and gives what came of it in the form in which the row shows it.

Came = tuple[Any, tuple[str, ...]]
Translator = "Callable[[Document], Translated]"


def openai(document: Document) -> Translated:
    return messages_to_chat(document, compatible=False)


def compatible(document: Document) -> Translated:
    return messages_to_chat(document, compatible=True)


def changed(translate: Callable[[Document], Translated], base: Document, asked: str) -> Came:
    """What the target gets beside what it gets for `base` alone."""
    before, made = translate(base).document, translate({**base, **fields(asked)})
    assert before.keys() <= made.document.keys()
    return {k: v for k, v in made.document.items() if before.get(k) != v}, made.dropped


def inside(translate: Callable[[Document], Translated], name: str, base: Document, asked: str) -> Came:
    """The elements of the field that the row's elements are put into, behind those of `base`."""
    made = translate({**base, name: [*base.get(name, []), *json.loads(f"[{asked}]")]})
    came = made.document["tools" if name == "tools" else "messages"]
    return came[1:] if came[:1] == [HI] else came, made.dropped


def part(translate: Callable[[Document], Translated], asked: str) -> Came:
    """A part of a user's message, and what it becomes in the target's."""
    made = translate({"messages": [{"role": "user", "content": [json.loads(asked)]}]})
    content = made.document["messages"][0]["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content, made.dropped


CHAT: Document = {"messages": [HI]}
OF_FIELDS = {
    "Fields of a chat completion": (chat_to_messages, CHAT),
    "Its choice among tools f and g": (chat_to_messages, {**CHAT, "tools": FUNCTIONS}),
    "Fields of a message request": (openai, CHAT),
    "Its choice between tools f and g": (openai, {**CHAT, "tools": TOOLS}),
    "What else a compatible server gets": (compatible, CHAT),
    "Fields of a response request": (responses_to_messages, {"input": "Hi"}),
}
OF_ELEMENTS = {
    "Its functions": (chat_to_messages, "tools", CHAT),
    "Its messages, behind one of the user's": (chat_to_messages, "messages", CHAT),
    "Its tools": (openai, "tools", CHAT),
    "Its turns, behind one of the user's": (openai, "messages", CHAT),
    "Items of its input, behind a message of the user's": (responses_to_messages, "input", {"input": [HI]}),
}
OF_PARTS = {"Parts of a user's message": chat_to_messages, "Blocks of a user's turn": openai}


def came_of_request(heading: str, row: Row) -> Came:
    """Raises `Untranslatable`."""
    if heading in OF_FIELDS:
        return changed(*OF_FIELDS[heading], row.asked)
    if heading in OF_ELEMENTS:
        return inside(*OF_ELEMENTS[heading], row.asked)
    return part(OF_PARTS[heading], row.asked)


def told_of_request(heading: str, row: Row) -> Came:
    """The same, as the page has it."""
    text = row.came[0] if row.came else ""
    return fields(text) if heading in OF_FIELDS else json.loads(f"[{text}]"), row.lost


# Whole answers, flat: what stands in the choice and in its message beside what stands around them.

MESSAGE: Document = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
_OF_CHOICE = ("finish_reason", "logprobs")
_OF_MESSAGE = (
    *("content", "refusal", "tool_calls", "function_call", "audio", "annotations"),
    *("reasoning_content", "reasoning"),
)


def completion(asked: Document) -> Document:
    said: Document = {"role": "assistant", "content": "Hello", "refusal": None}
    said |= {k: v for k, v in asked.items() if k in _OF_MESSAGE}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    choice |= {k: v for k, v in asked.items() if k in _OF_CHOICE}
    made = {"id": "chatcmpl-1", "object": "chat.completion", "created": CREATED, "model": "m", "choices": [choice]}
    made["usage"] = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return made | {k: v for k, v in asked.items() if k not in _OF_CHOICE + _OF_MESSAGE}


def flat(made: Document) -> Document:
    if "choices" not in made:
        return made
    choice = made["choices"][0]
    return {**made, **choice, **choice["message"], "choices": 1, "message": 1}


ANSWERS: dict[str, Callable[[Document], Document]] = {
    "An answer of Anthropic's as a chat completion": lambda asked: to_completion({**MESSAGE, **asked}, created=CREATED),
    "An answer of Anthropic's as a response": lambda asked: to_response({**MESSAGE, **asked}, {}, created=CREATED),
    "A chat completion as an answer of Anthropic's": lambda asked: to_message(completion(asked)),
}


def came_of_answer(heading: str, row: Row) -> Document:
    """What is not the same as in the answer that says Hello. Raises `BadEvent`."""
    before, made = flat(ANSWERS[heading]({})), flat(ANSWERS[heading](fields(row.asked)))
    return {k: v for k, v in made.items() if k not in before or before[k] != v}


# Streams: the rows of a table are one stream, in order.


def chunk(text: str) -> Document:
    asked = fields(text)
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": "m"}
    if "choices" in asked:
        return {**head, **asked}
    return {**head, "choices": [{"index": 0, "finish_reason": None, **asked}]}


def brief_chunk(data: bytes) -> Any:
    if data == b"[DONE]":
        return "[DONE]"
    made = json.loads(data)
    if not made["choices"]:
        return {"choices": [], "usage": made["usage"]}
    (choice,) = made["choices"]
    return {k: v for k, v in choice.items() if k in ("delta", "finish_reason") and v is not None}


def brief_response(data: bytes) -> Any:
    made = json.loads(data)
    shown = {k: v for k, v in made.items() if k in ("type", "delta", "text", "arguments")}
    if "item" in made:
        shown["item"] = {"type": made["item"]["type"], "status": made["item"]["status"]}
    return shown


def streams(heading: str) -> tuple[Any, Callable[[str], Document], Callable[[bytes], Any]]:
    """The translator, how a row's event is read, and how an event that came is shown."""
    if heading.startswith("The same stream"):
        return ResponseEvents({}, created=CREATED), json.loads, brief_response
    if heading.startswith("A stream of Anthropic's"):
        return ChatEvents(created=CREATED, usage_asked=True), json.loads, brief_chunk
    return MessageEvents(), chunk, json.loads


STREAMS = (
    "A stream of Anthropic's as chunks",
    "The same stream as events of a response",
    "A stream of chunks as Anthropic's events",
)


def came_of_stream(heading: str, asked: list[str]) -> list[list[Any]]:
    """What each event becomes. The last one is `message_stop` or `[DONE]`."""
    translator, read, brief = streams(heading)
    came = []
    for text in asked:
        out = b"" if text == "[DONE]" else translator.feed(read(text))
        if text is asked[-1]:
            out += translator.end()
        came.append([brief(event.data) for event in Splitter().feed(out)])
    return came


def told_of_stream(row: Row) -> list[Any]:
    return [
        code if code == "[DONE]" else json.loads(code if code.startswith("{") else f"{{{code}}}") for code in row.came
    ]


def words_of(call: Callable[[], object]) -> str:
    """Of what it raises."""
    try:
        call()
    except (Untranslatable, BadEvent) as no:
        return str(no)
    return ""
