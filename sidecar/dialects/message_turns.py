"""Anthropic's turns as messages of a chat.

One turn of the user may become several messages: results of tools are messages of their own and stand directly behind
the call; then comes what else the user said, with what the results had beside text before it, as a chat's results are
texts. One system message stands before all of it: templates of some models refuse a second one, or one further down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.dialects.fields import documents, flag, some_text, text, word
from sidecar.dialects.media import document_parts, image_part
from sidecar.dialects.message_tools import tool_call
from sidecar.dialects.tool_ids import from_anthropic_id
from sidecar.dialects.translated import Untranslatable

if TYPE_CHECKING:
    from sidecar.dialects.fields import Lost
    from sidecar.llm import Document


def messages(system: Any, value: Any, lost: Lost) -> list[Document]:
    """All messages of the chat, the system's first; there is one at least that is not the system's."""
    told = [] if system is None else _system_texts(system, "system", lost)
    turns: list[_User | _Assistant] = []
    for index, message in enumerate(documents(value, "messages")):
        lost.unknown(message, ("role", "content"), "messages.")
        try:
            if message.get("role") == "system":
                told += _system_texts(message.get("content"), "messages", lost)
                if turns:
                    lost.add("messages.position")
            else:
                _turn(message.get("role"), turns).add(_blocks(message.get("content")), lost)
        except Untranslatable as reason:
            raise Untranslatable(f"messages[{index}].{reason}") from None
    made = [message for turn in turns for message in turn.written()]
    if not made:
        raise Untranslatable("messages: none but the system says anything")
    return [{"role": "system", "content": "\n".join(told)}, *made] if told else made


def _turn(role: Any, turns: list[_User | _Assistant]) -> _User | _Assistant:
    """The last turn that says anything if it is that one's, else a new one."""
    if role not in ("user", "assistant"):
        raise Untranslatable(f"role: {word(role)} is unknown")
    if turns and turns[-1].silent:
        turns.pop()
    kind = _User if role == "user" else _Assistant
    if not turns or type(turns[-1]) is not kind:
        turns.append(kind())
    return turns[-1]


class _Assistant:
    """Texts of one message are one text in pieces; those of several ones stand on lines of their own."""

    __slots__ = ("_calls", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: list[Document] = []

    def add(self, blocks: list[Document], lost: Lost) -> None:
        pieces: list[str] = []
        for block in blocks:
            match block.get("type"):
                case "text":
                    lost.unknown(block, ("type", "text"), "messages.")
                    pieces.append(text(block.get("text"), "content.text"))
                    if self._calls and pieces[-1]:
                        lost.add("messages.position")
                case "tool_use":
                    self._calls.append(tool_call(block, lost))
                case "thinking" | "redacted_thinking" as kind:
                    lost.add(f"messages.{kind}")
                case other:
                    raise Untranslatable(f"content: a block of type {word(other)} of the assistant cannot be said")
        if any(pieces):
            self._texts.append("".join(pieces))

    @property
    def silent(self) -> bool:
        """Of thinking nothing is left."""
        return not self._texts and not self._calls

    def written(self) -> list[Document]:
        if self.silent:
            return []
        made: Document = {"role": "assistant", "content": "\n".join(self._texts) if self._texts else None}
        if self._calls:
            made["tool_calls"] = self._calls
        return [made]


class _User:
    __slots__ = ("_beside", "_others", "_results")

    def __init__(self) -> None:
        self._results: list[Document] = []
        self._beside: list[Document] = []
        self._others: list[Document] = []

    def add(self, blocks: list[Document], lost: Lost) -> None:
        for block in blocks:
            if block.get("type") == "tool_result":
                self._results.append(_result(block, self._beside, lost))
            else:
                self._others += _parts(block, lost)

    @property
    def silent(self) -> bool:
        return not self._results and not self._others

    def written(self) -> list[Document]:
        said = self._beside + self._others
        if not said:
            return self._results
        alone = len(said) == 1 and said[0]["type"] == "text"
        return [*self._results, {"role": "user", "content": said[0]["text"] if alone else said}]


def _system_texts(content: Any, place: str, lost: Lost) -> list[str]:
    if type(content) is str:
        return [content] if content else []
    made = []
    for block in documents(content, "system"):
        if block.get("type") != "text":
            raise Untranslatable(f"system: a block of type {word(block.get('type'))} cannot be said here")
        lost.unknown(block, ("type", "text"), f"{place}.")
        if found := text(block.get("text"), "system.text"):
            made.append(found)
    return made


def _blocks(content: Any) -> list[Document]:
    if type(content) is str:
        return [{"type": "text", "text": content}]
    return documents(content, "content")


def _parts(block: Document, lost: Lost) -> list[Document]:
    match block.get("type"):
        case "text":
            lost.unknown(block, ("type", "text"), "messages.")
            found = text(block.get("text"), "content.text")
            return [{"type": "text", "text": found}] if found else []
        case "image":
            return [image_part(block, lost)]
        case "document":
            return document_parts(block, lost)
        case other:
            raise Untranslatable(f"content: a block of type {word(other)} cannot be said")


def _result(block: Document, beside: list[Document], lost: Lost) -> Document:
    """The tool's message; images and files of it are added to `beside`."""
    lost.unknown(block, ("type", "tool_use_id", "content", "is_error"), "messages.")
    texts = []
    content = block.get("content")
    for inner in [] if content is None else _blocks(content):
        for part in _parts(inner, lost):
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                beside.append(part)
    failed = block.get("is_error")
    if failed is not None and flag(failed, "tool_result.is_error"):
        texts[:1] = [f"Error: {texts[0]}" if texts else "Error"]
    known = from_anthropic_id(some_text(block.get("tool_use_id"), "tool_result.tool_use_id"))
    return {"role": "tool", "tool_call_id": known, "content": "\n".join(texts)}
