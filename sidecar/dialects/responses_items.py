"""The input of a `/v1/responses` request, put as messages of a chat completion.

Each item is a message of its own; whoever reads them puts those of one role together.
What a provider keeps (files, stored items, sealed reasoning) and the calls of its own
tools mean nothing to another one. Reasoning that is not sealed is left out, and told.

Field names: `openai.types.responses.ResponseInputItemParam`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.dialects.fields import document, items, text, word
from sidecar.dialects.translated import Untranslatable

if TYPE_CHECKING:
    from sidecar.dialects.fields import Lost
    from sidecar.llm import Document

_ROLES = ("user", "assistant", "system", "developer")
_OF_AN_ITEM = ("type", "id", "status")
"""How the provider files an item; nobody else misses it."""


def chat_messages(asked: Document, lost: Lost) -> list[tuple[str, Document]]:
    """`instructions` and `input` of a request: each message with the place it stood at. Raises `Untranslatable`."""
    made: list[tuple[str, Document]] = []
    if asked.get("instructions") is not None:
        said = text(asked["instructions"], "instructions")
        made.append(("instructions", {"role": "system", "content": said}))
    value = asked.get("input")
    if value is None:
        raise Untranslatable("input: there is none")
    if type(value) is str:
        made.append(("input", {"role": "user", "content": value}))
        return made
    for index, item in enumerate(items(value, "input")):
        place = f"input[{index}]"
        try:
            message = _message(document(item, "item"), lost)
        except Untranslatable as reason:
            raise Untranslatable(f"{place}.{reason}") from None
        if message is not None:
            made.append((place, message))
    return made


def _message(item: Document, lost: Lost) -> Document | None:
    kind = item.get("type")
    match kind:
        case "item_reference" | None if "role" not in item:  # its type may be left out
            raise Untranslatable("id: only the provider that keeps the item knows it")
        case "message" | None:
            lost.unknown(item, (*_OF_AN_ITEM, "role", "content"), "input.")
            role = item.get("role")
            if role not in _ROLES:
                raise Untranslatable(f"role: {word(role)} cannot be said")
            return {"role": role, "content": _content(item.get("content"), lost)}
        case "function_call":
            lost.unknown(item, (*_OF_AN_ITEM, "call_id", "name", "arguments"), "input.")
            function = {"name": item.get("name"), "arguments": item.get("arguments")}
            call = {"id": item.get("call_id"), "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            lost.unknown(item, (*_OF_AN_ITEM, "call_id", "name", "output"), "input.")
            content = _content(item.get("output"), lost, "output")
            return {"role": "tool", "tool_call_id": item.get("call_id"), "content": content}
        case "reasoning":
            if item.get("encrypted_content"):
                raise Untranslatable("encrypted_content: only the provider that sealed it can open it")
            lost.add("input.reasoning")
            return None
        case _:
            raise Untranslatable(f"type: an item of type {word(kind)} cannot be said")


def _content(content: Any, lost: Lost, place: str = "content") -> Any:
    if type(content) is not list:
        return text(content, place)
    return [_part(document(part, place), lost) for part in content]


def _part(part: Document, lost: Lost) -> Document:
    kind = part.get("type")
    match kind:
        case "input_text" | "output_text":
            lost.unknown(part, ("type", "text"), "input.")
            return {"type": "text", "text": part.get("text")}
        case "refusal":
            lost.unknown(part, ("type", "refusal"), "input.")
            return {"type": "refusal", "refusal": part.get("refusal")}
        case "input_image":
            _refuse_kept(part)
            lost.unknown(part, ("type", "image_url", "detail"), "input.")
            return {"type": "image_url", "image_url": {"url": part.get("image_url"), "detail": part.get("detail")}}
        case "input_file":
            _refuse_kept(part)
            if part.get("file_url") is not None:
                raise Untranslatable("file_url: a file cannot be said by its address, only by its data")
            lost.unknown(part, ("type", "file_data", "filename"), "input.")
            return {"type": "file", "file": {"file_data": part.get("file_data"), "filename": part.get("filename")}}
        case _:
            raise Untranslatable(f"content: a part of type {word(kind)} cannot be said")


def _refuse_kept(part: Document) -> None:
    if part.get("file_id") is not None:
        raise Untranslatable("file_id: only the provider that keeps the file knows it")
