"""Messages of a chat as Anthropic's turns.

A chat is a list of messages in nearly any order. Anthropic's is the user's turn and the assistant's by turns: what the
system says stands before all of it, results of tools stand first in the user's turn that follows the call, and the
first turn is the user's. No turn and no text in it is blank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.dialects.chat_tools import tool_uses
from sidecar.dialects.fields import document, items, some_text, text, word
from sidecar.dialects.media import document_block, image_block
from sidecar.dialects.tool_ids import to_anthropic_id
from sidecar.dialects.translated import Untranslatable

if TYPE_CHECKING:
    from sidecar.dialects.fields import Lost
    from sidecar.llm import Document

_USER = frozenset({"text", "image_url", "file"})
_ASSISTANT = frozenset({"text", "refusal"})
_SYSTEM = frozenset({"text"})
_TOOL = frozenset({"text", "image_url"})
"""An image in a tool's result is beyond OpenAI's own types, but compatible servers take it, and so does Claude."""


def turns(value: Any, lost: Lost) -> tuple[str, list[Document]]:
    """The system's text, parts of it joined by line ends, and the turns."""
    system: list[str] = []
    made: list[_Turn] = []
    begun = False
    for index, message in enumerate(items(value, "messages")):
        try:
            role, blocks = _read(message, lost)
        except Untranslatable as reason:
            raise Untranslatable(f"messages[{index}].{reason}") from None
        if role == "system":
            system.extend(block["text"] for block in blocks)
            if begun and blocks:
                lost.add("messages.position")
            continue
        begun = True
        if not blocks:
            continue
        if not made or made[-1].role != role:
            made.append(_Turn(role))
        made[-1].add(blocks)
    if not made:
        raise Untranslatable("messages: none but the system says anything")
    if made[0].role != "user":
        raise Untranslatable("messages: the first but the system's must be the user's")
    if made[-1].role == "assistant":
        made[-1].strip_end()
    return "\n".join(system), [turn.written() for turn in made]


class _Turn:
    __slots__ = ("_others", "_results", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self._results: list[Document] = []
        self._others: list[Document] = []

    def add(self, blocks: list[Document]) -> None:
        for block in blocks:
            (self._results if block["type"] == "tool_result" else self._others).append(block)

    def strip_end(self) -> None:
        """A turn that the model is to go on with may not end in blanks: Anthropic answers 400."""
        last = self._others[-1]
        if last["type"] == "text":
            last["text"] = last["text"].rstrip()

    def written(self) -> Document:
        if not self._results and len(self._others) == 1 and self._others[0]["type"] == "text":
            return {"role": self.role, "content": self._others[0]["text"]}
        return {"role": self.role, "content": self._results + self._others}


def _read(value: Any, lost: Lost) -> tuple[str, list[Document]]:
    """Whose turn a message belongs to, or `system`, and its blocks."""
    message = document(value, "message")
    match message.get("role"):
        case "user":
            lost.unknown(message, ("role", "content"), "messages.")
            return "user", _blocks(message.get("content"), _USER, lost)
        case "assistant":
            return "assistant", _assistant(message, lost)
        case "tool":
            return "user", [_result(message, lost)]
        case "system" | "developer":
            lost.unknown(message, ("role", "content"), "messages.")
            return "system", _blocks(message.get("content"), _SYSTEM, lost)
        case other:
            raise Untranslatable(f"role: {word(other)} cannot be said")


def _assistant(message: Document, lost: Lost) -> list[Document]:
    for name in ("audio", "function_call"):
        if message.get(name) is not None:
            raise Untranslatable(f"{name}: cannot be said")
    lost.unknown(message, ("role", "content", "refusal", "tool_calls"), "messages.")
    content, refusal, calls = message.get("content"), message.get("refusal"), message.get("tool_calls")
    made = [] if content is None else _blocks(content, _ASSISTANT, lost)
    if refusal is not None:
        made += _text_blocks(refusal, "refusal")
    if calls is not None:
        made += tool_uses(calls, lost)
    return made


def _result(message: Document, lost: Lost) -> Document:
    lost.unknown(message, ("role", "content", "tool_call_id"), "messages.")
    made: Document = {
        "type": "tool_result",
        "tool_use_id": to_anthropic_id(some_text(message.get("tool_call_id"), "tool_call_id")),
    }
    content = message.get("content")
    blocks = _blocks(content, _TOOL, lost)
    if blocks:
        made["content"] = content if type(content) is str else blocks
    return made


def _blocks(content: Any, allowed: frozenset[str], lost: Lost) -> list[Document]:
    if type(content) is str:
        return _text_blocks(content, "content")
    if type(content) is not list:
        raise Untranslatable("content: is neither a string nor a list")
    made: list[Document] = []
    for value in content:
        part = document(value, "content")
        kind = part.get("type")
        if type(kind) is not str or kind not in allowed:
            raise Untranslatable(f"content: a part of type {word(kind)} cannot be said here")
        lost.unknown(part, ("type", kind), "messages.")
        match kind:
            case "image_url":
                made.append(image_block(part.get("image_url"), lost))
            case "file":
                made.append(document_block(part.get("file"), lost))
            case _:
                made += _text_blocks(part.get(kind), f"content.{kind}")
    return made


def _text_blocks(value: Any, place: str) -> list[Document]:
    """Anthropic refuses a text that is blank; it says nothing."""
    found = text(value, place)
    return [] if not found or found.isspace() else [{"type": "text", "text": found}]
