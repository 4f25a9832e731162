"""Conversations on the way to the other dialect and back: texts, images, ids, arguments and their order survive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.chat_to_messages import chat_to_messages
from sidecar.dialects.messages_to_chat import messages_to_chat
from tests.kit.vendor_types import held_by_anthropic, held_by_openai

if TYPE_CHECKING:
    from sidecar.dialects.translated import Translated

Message = dict[str, Any]

said = st.text(min_size=1, max_size=12).filter(lambda text: not text.isspace())
ids = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True) | st.sampled_from(["functions.Read:0", "a b", "ключ"])
arguments = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
images = st.sampled_from(["https://example.org/a.png", "data:image/png;base64,iVBO", "data:image/webp;base64,UklG"])


def text_part(text: str) -> Message:
    return {"type": "text", "text": text}


def image_part(url: str) -> Message:
    return {"type": "image_url", "image_url": {"url": url}}


parts = said.map(text_part) | images.map(image_part)


@st.composite
def chats(draw: st.DrawFn) -> list[Message]:
    """What OpenAI takes, at its plainest: the user and the assistant by turns, results behind their calls."""
    made: list[Message] = []
    if draw(st.booleans()):
        made.append({"role": "system", "content": draw(said)})
    for _ in range(draw(st.integers(1, 3))):
        content = draw(said | st.lists(parts, min_size=2, max_size=3))
        made.append({"role": "user", "content": content})
        calls = [
            {"id": id, "type": "function", "function": {"name": "look", "arguments": json.dumps(draw(arguments))}}
            for id in draw(st.lists(ids, unique=True, max_size=3))  # noqa: A001 - the field's name
        ]
        answer: Message = {"role": "assistant", "content": draw(said) if not calls else draw(st.none() | said)}
        if calls:
            answer["tool_calls"] = calls
        made.append(answer)
        made += [{"role": "tool", "tool_call_id": call["id"], "content": draw(said)} for call in calls]
    return [*made, {"role": "user", "content": draw(said)}]


def read(messages: list[Message]) -> list[Any]:
    """All that a chat says, in order: arguments as what they mean, a string as one part."""
    found: list[Any] = []
    for message in messages:
        content = message["content"]
        parts = [text_part(content)] if isinstance(content, str) else content or []
        found += [(message["role"], message.get("tool_call_id"), part) for part in parts]
        functions = [(call["id"], call["function"]) for call in message.get("tool_calls", [])]
        found += [(known, function["name"], json.loads(function["arguments"])) for known, function in functions]
    return found


def passed(made: Translated) -> list[Message]:
    assert made.dropped == ()
    messages: list[Message] = made.document["messages"]
    return messages


@given(chats())
def test_a_chat_says_the_same_by_way_of_anthropic(chat: list[Message]) -> None:
    there = chat_to_messages({"messages": chat})
    held_by_anthropic(there.document)
    roles = [turn["role"] for turn in passed(there)]
    assert roles == [("user", "assistant")[index % 2] for index in range(len(roles))]
    back = messages_to_chat(there.document, compatible=False)
    held_by_openai(back.document)
    assert read(passed(back)) == read(chat)


@st.composite
def talks(draw: st.DrawFn) -> list[Message]:
    """What Anthropic takes: turns, results first in them, texts of the assistant before its calls."""
    made: list[Message] = []
    results: list[Message] = []
    for _ in range(draw(st.integers(1, 3))):
        made.append({"role": "user", "content": [*results, *draw(st.lists(blocks, min_size=1, max_size=3))]})
        uses = [
            {"type": "tool_use", "id": id, "name": "look", "input": draw(arguments)}
            for id in draw(st.lists(valid_ids, unique=True, max_size=3))  # noqa: A001 - the field's name
        ]
        made.append({"role": "assistant", "content": [text_part(draw(said)), *uses]})
        results = [{"type": "tool_result", "tool_use_id": use["id"], "content": draw(said)} for use in uses]
    return [*made, {"role": "user", "content": [*results, text_part(draw(said))]}]


valid_ids = st.from_regex(r"(toolu_|sidecar_b64_)?[a-zA-Z0-9_-]{1,12}", fullmatch=True)
sources = st.sampled_from(
    [
        {"type": "url", "url": "https://example.org/a.png"},
        {"type": "base64", "media_type": "image/gif", "data": "R0lG"},
    ]
)
blocks = said.map(text_part) | sources.map(lambda source: {"type": "image", "source": source})


def in_blocks(turns: list[Message]) -> list[Message]:
    """A string is one block of text."""
    return [
        {**turn, "content": [text_part(turn["content"])] if isinstance(turn["content"], str) else turn["content"]}
        for turn in turns
    ]


@given(talks(), st.booleans())
def test_a_talk_says_the_same_by_way_of_a_chat(talk: list[Message], compatible: bool) -> None:
    there = messages_to_chat({"messages": talk}, compatible=compatible)
    held_by_openai(there.document)
    passed(there)
    back = chat_to_messages(there.document)
    held_by_anthropic(back.document)
    assert in_blocks(passed(back)) == talk
