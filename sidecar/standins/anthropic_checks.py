"""What Anthropic refuses of a message request, as far as a proxy can be the cause.

Each check raises `ApiError` in the words of the real API.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sidecar.standins.anthropic_errors import wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sidecar.llm import Document
    from sidecar.standins.llm_provider import ApiError

TOOL_ID = re.compile(r"^[a-zA-Z0-9_-]+$")
TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
ROLES = ("user", "assistant")
KNOWN_BLOCKS: Mapping[str, Sequence[str]] = {
    "user": ("text", "image", "document", "tool_result", "search_result", "container_upload"),
    "assistant": (
        *("text", "document", "thinking", "redacted_thinking", "tool_use"),
        *("server_tool_use", "web_search_tool_result"),
    ),
}
STRICTER = "2026-10-21"
"""From this API version on (its "Versions" page) nobody may set temperature, top_p or top_k, not even to a default, put
a document into an assistant's message, or citations into a user's.
"""
FORCING = ("any", "tool")
"""Choices that make the model call a tool."""
SOURCES = ("base64", "url", "file")
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
LEAST_BUDGET = 1024
"""Tokens of thinking that may be asked for."""


def check(document: Document, issued: Callable[[str, str], bool], version: str, *, counted: bool = False) -> None:
    """Of a whole request in an API `version`; `issued(thinking, signature)` tells whether that pair came from here.
    `counted`: the tokens are only to be counted, which needs no `max_tokens`.
    """
    limit = document.get("max_tokens")
    if not counted:
        if limit is None:
            raise wrong("max_tokens: Field required")
        if not isinstance(limit, int) or isinstance(limit, bool):
            raise wrong("max_tokens: Input should be a valid integer")
        if limit < 1:
            raise wrong("max_tokens: must be greater than or equal to 1")
    if version >= STRICTER:
        removed(document)
    sampling(document)
    system(document.get("system"))
    tools(document)
    thinking(document, limit)
    messages(document.get("messages"), issued)


def listed(document: Document, name: str) -> list[Any]:
    given = document.get(name)
    if given is not None and not isinstance(given, list):
        raise wrong(f"{name}: Input should be a valid list")
    return given or []


def removed(document: Document) -> None:
    for name in ("temperature", "top_k", "top_p"):
        if name in document:
            raise wrong(f"{name}: Extra inputs are not permitted")
    for at, message in enumerate(listed(document, "messages")):
        content = message.get("content") if isinstance(message, dict) else None
        for number, block in enumerate(content if isinstance(content, list) else ()):
            kind = block.get("type") if isinstance(block, dict) else None
            if (message.get("role"), kind) == ("assistant", "document"):
                raise wrong(f"messages.{at}.content.{number}: document blocks are not permitted in assistant messages")
            if (message.get("role"), kind) == ("user", "text") and block.get("citations"):
                raise wrong(f"messages.{at}.content.{number}.text.citations: Extra inputs are not permitted")


def sampling(document: Document) -> None:
    for name in ("temperature", "top_p"):
        value = document.get(name)
        if isinstance(value, int | float) and value > 1:
            raise wrong(f"{name}: range: 0..1")
        if isinstance(value, int | float) and value < 0:
            raise wrong(f"{name}: range: 0..1")
    for at, stop in enumerate(listed(document, "stop_sequences")):
        if not isinstance(stop, str) or not stop.strip():
            raise wrong(f"stop_sequences.{at}: each stop sequence must contain non-whitespace")


def system(given: object) -> None:
    if given is None or isinstance(given, str):
        return
    if not isinstance(given, list):
        raise wrong("system: Input should be a valid string or list")
    for at, block in enumerate(given):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise wrong(f"system.{at}.type: Input should be 'text'")
        if not block.get("text"):
            raise wrong("system: text content blocks must be non-empty")


def tools(document: Document) -> None:
    names: list[str] = []
    for at, tool in enumerate(listed(document, "tools")):
        if not isinstance(tool, dict):
            raise wrong(f"tools.{at}: Input should be a valid dictionary")
        name = tool.get("name")
        if not isinstance(name, str) or not TOOL_NAME.match(name):
            raise wrong(f"tools.{at}.custom.name: String should match pattern '{TOOL_NAME.pattern}'")
        if name in names:
            raise wrong("tools: Tool names must be unique.")
        names.append(name)
        if tool.get("type", "custom") != "custom":
            continue
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise wrong(f"tools.{at}.custom.input_schema: Field required")
        if schema.get("type") != "object":
            raise wrong(f"tools.{at}.custom.input_schema.type: Field required")
    choice = document.get("tool_choice")
    if isinstance(choice, dict):
        if not names and choice.get("type") in FORCING:
            raise wrong("tool_choice: tool_choice may only be specified while providing tools.")
        if choice.get("type") == "tool" and choice.get("name") not in names:
            raise wrong(f"Tool '{choice.get('name')}' not found in provided tools")


def thinking(document: Document, limit: int | None) -> None:
    given = document.get("thinking")
    if not isinstance(given, dict) or given.get("type") != "enabled":
        return
    budget = given.get("budget_tokens")
    if not isinstance(budget, int):
        raise wrong("thinking.enabled.budget_tokens: Field required")
    if budget < LEAST_BUDGET:
        raise wrong("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if limit is not None and budget >= limit:
        raise wrong("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if document.get("temperature", 1) != 1:
        raise wrong("`temperature` may only be set to 1 when thinking is enabled.")
    choice = document.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in FORCING:
        raise wrong("Thinking may not be enabled when tool_choice forces tool use.")


def messages(given: object, issued: Callable[[str, str], bool]) -> None:
    if not isinstance(given, list):
        raise wrong("messages: Field required")
    if not given:
        raise wrong("messages: at least one message is required")
    waiting: list[str] = []
    for at, message in enumerate(given):
        place = f"messages.{at}"
        if not isinstance(message, dict):
            raise wrong(f"{place}: Input should be a valid dictionary")
        role = message.get("role")
        if role == "system":
            raise wrong(
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not '
                '"system" as an input message role.'
            )
        if role not in ROLES:
            raise wrong(f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant"')
        if at == 0 and role != "user":
            raise wrong('messages: first message must use the "user" role')
        last = at == len(given) - 1
        blocks = content(message, place, last=last)
        results(role, blocks, waiting, place)
        waiting = []
        for number, block in enumerate(blocks):
            known(role, block, f"{place}.content.{number}", issued)
            if block.get("type") == "tool_use":
                waiting.append(str(block.get("id")))
        if len(set(waiting)) < len(waiting):
            raise wrong(f"{place}: `tool_use` ids must be unique")
    if waiting:
        raise unanswered(waiting, len(given) - 1)


def content(message: Document, place: str, *, last: bool) -> list[Document]:
    """The message's blocks; a string is one of text."""
    given = message.get("content")
    final_turn = last and message.get("role") == "assistant"
    if isinstance(given, str):
        blocks: list[Document] = [{"type": "text", "text": given}]
    elif isinstance(given, list):
        blocks = given
        texts(blocks, place)
    else:
        raise wrong(f"{place}.content: Field required")
    if not given and not final_turn:
        raise wrong(
            f"{place}: all messages must have non-empty content except for the optional final assistant message"
        )
    ending = blocks[-1].get("text") if blocks and blocks[-1].get("type") == "text" else None
    if final_turn and isinstance(ending, str) and ending != ending.rstrip():
        raise wrong("messages: final assistant content cannot end with trailing whitespace")
    return blocks


def texts(blocks: list[Document], place: str) -> None:
    for number, block in enumerate(blocks):
        if not isinstance(block, dict):
            raise wrong(f"{place}.content.{number}: Input should be a valid dictionary")
        if block.get("type") != "text":
            continue
        text = block.get("text")
        if not isinstance(text, str):
            raise wrong(f"{place}.content.{number}.text.text: Field required")
        if not text:
            raise wrong("messages: text content blocks must be non-empty")
        if not text.strip():
            raise wrong("messages: text content blocks must contain non-whitespace text")


def results(role: str, blocks: list[Document], waiting: list[str], place: str) -> None:
    """Each call has its result in the very next message, and at its beginning; no result is without its call."""
    found = [str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"]
    first = [block.get("type") == "tool_result" for block in blocks[: len(found)]]
    missing = [one for one in waiting if role != "user" or one not in found]
    if missing or (waiting and not all(first)):
        at = int(place.partition(".")[2]) - 1
        raise unanswered(missing or waiting, at)
    for number, block in enumerate(blocks):
        if block.get("type") == "tool_result" and block.get("tool_use_id") not in waiting:
            raise wrong(
                f"{place}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{block.get('tool_use_id')}. Each `tool_result` block must have a corresponding `tool_use` block in "
                "the previous message."
            )
    if len(set(found)) < len(found):
        raise wrong(f"{place}: each tool_use must have a single result. Found multiple `tool_result` blocks with id")


def unanswered(ids: list[str], at: int) -> ApiError:
    return wrong(
        f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}. "
        "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
    )


def known(role: str, block: Document, place: str, issued: Callable[[str, str], bool]) -> None:
    """One block that its role may have, with the members it needs."""
    kind = block.get("type")
    if kind not in KNOWN_BLOCKS[role]:
        names = ", ".join(f"'{name}'" for name in sorted(KNOWN_BLOCKS[role]))
        raise wrong(f"{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {names}")
    if kind == "tool_use":
        ident(block.get("id"), f"{place}.tool_use.id")
        if not isinstance(block.get("input"), dict):
            raise wrong(f"{place}.tool_use.input: Input should be a valid dictionary")
        if not isinstance(block.get("name"), str) or not TOOL_NAME.match(block["name"]):
            raise wrong(f"{place}.tool_use.name: String should match pattern '{TOOL_NAME.pattern}'")
    elif kind == "tool_result":
        ident(block.get("tool_use_id"), f"{place}.tool_result.tool_use_id")
    elif kind == "thinking":
        text, signature = block.get("thinking"), block.get("signature")
        if not isinstance(signature, str):
            raise wrong(f"{place}.thinking.signature: Field required")
        if not isinstance(text, str) or not issued(text, signature):
            raise wrong(f"{place}: Invalid `signature` in `thinking` block")
    elif kind == "image":
        image(block.get("source"), place)


def ident(given: object, place: str) -> None:
    if not isinstance(given, str) or not TOOL_ID.match(given):
        raise wrong(f"{place}: String should match pattern '{TOOL_ID.pattern}'")


def image(source: object, place: str) -> None:
    if not isinstance(source, dict) or source.get("type") not in SOURCES:
        raise wrong(f"{place}.image.source: Field required")
    if source["type"] == "base64" and source.get("media_type") not in IMAGES:
        names = ", ".join(f"'{name}'" for name in IMAGES)
        raise wrong(f"{place}.image.source.base64.media_type: Input should be {names}")
