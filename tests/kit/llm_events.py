"""The events of both dialects' streams, as short as a test would say them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.kit.messages import anything, bent

Document = dict[str, Any]

STOP: Document = {"type": "message_stop"}
PING: Document = {"type": "ping"}


def start(usage: Document | None = None, *, id: str = "msg_1", model: str = "claude-x") -> Document:  # noqa: A002 - the field's name
    message: Document = {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
    }
    usage = {"input_tokens": 10, "output_tokens": 1} if usage is None else usage
    return {"type": "message_start", "message": {**message, "stop_sequence": None, "usage": usage}}


def block(index: int, kind: str = "text", **fields: object) -> Document:
    content = {"type": kind, **({"text": ""} if kind == "text" else {}), **fields}
    return {"type": "content_block_start", "index": index, "content_block": content}


def tool(index: int, call_id: str, name: str) -> Document:
    return block(index, "tool_use", id=call_id, name=name, input={})


def says(index: int, text: str) -> Document:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}


def gives(index: int, piece: str) -> Document:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": piece}}


def stop(index: int) -> Document:
    return {"type": "content_block_stop", "index": index}


def ends(reason: str | None, usage: Document | None = None, **delta: object) -> Document:
    said = {"stop_reason": reason, "stop_sequence": None, **delta}
    return {"type": "message_delta", "delta": said, "usage": {"output_tokens": 5} if usage is None else usage}


def chunk(delta: Document | None = None, finish_reason: str | None = None, **fields: object) -> Document:
    """A chat chunk; without a delta and a finish reason one without choices."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish_reason}]
    if delta is None and finish_reason is None:
        choices = []
    same = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-x"}
    return {**same, "choices": choices, **fields}


def calls(index: int, arguments: str | None = None, **fields: object) -> Document:
    """A chat chunk of one tool call; `id` and `name` where it tells them."""
    function: Document = {} if arguments is None else {"arguments": arguments}
    if "name" in fields:
        function["name"] = fields.pop("name")
    return chunk({"tool_calls": [{"index": index, **fields, "function": function}]})


def named(stream: bytes) -> list[tuple[str, Document]]:
    """Name and data of each event; a stream must have both on each."""
    events = []
    for frame in stream.decode().removesuffix("\n\n").split("\n\n") if stream else []:
        name, data = frame.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        events.append((name[7:], json.loads(data[6:])))
    return events


def unnamed(stream: bytes) -> list[Any]:
    """The data of each event; `[DONE]` stands for itself."""
    frames = stream.decode().removesuffix("\n\n").split("\n\n") if stream else []
    assert all(frame.startswith("data: ") for frame in frames)
    return [frame[6:] if frame == "data: [DONE]" else json.loads(frame[6:]) for frame in frames]


def said(stream: bytes) -> list[str]:
    """Of an Anthropic stream: starts, pieces and stops of the blocks, and why the message ended, a short word each."""
    words = []
    for name, event in named(stream):
        assert name == event["type"]
        index = event.get("index")
        if name == "content_block_start":
            block = event["content_block"]
            words.append(f"{index} {block['type']} {block.get('id', '')} {block.get('name', '')}".strip())
        elif name == "content_block_delta":
            delta = event["delta"]
            words.append(f"{index} + {delta['text'] if 'text' in delta else delta['partial_json']}")
        elif name == "content_block_stop":
            words.append(f"{index} stops")
        elif name == "message_delta":
            words.append(event["delta"]["stop_reason"])
    return words


_KEYS = [
    "type", "index", "delta", "content_block", "message", "usage", "id", "name", "text", "partial_json", "stop_reason",
    "choices", "content", "tool_calls", "function", "arguments", "function_call", "finish_reason", "refusal", "model",
    "prompt_tokens", "output_tokens",
]  # fmt: skip
_WORDS = [
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
    "message_stop", "text", "tool_use", "text_delta", "input_json_delta", "end_turn", "stop", "{}", " \n",
]  # fmt: skip
_told = st.recursive(
    anything | st.sampled_from(_WORDS) | st.integers(0, 2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(st.sampled_from(_KEYS), _told, max_size=6)
"""JSON objects of any shape, in the words of both dialects."""


def damaged(*streams: list[Document]) -> st.SearchStrategy[list[Document]]:
    """One of these streams, but for a value anywhere in it."""
    return bent(*({"events": stream} for stream in streams)).map(_events)


def _events(stream: Document) -> list[Document]:
    events = stream.get("events")
    return [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []
