"""Anthropic answers, whole and as the events that they are streamed in."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]


def message(*content: Json, stop: str | None = "end_turn", **more: Any) -> Json:
    """A whole answer."""
    return {
        "id": "msg_01X",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
        **more,
    }


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def tool_use(name: str, given: Json, call_id: str = "toolu_1") -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def thinking(thought: str) -> Json:
    return {"type": "thinking", "thinking": thought, "signature": "c2ln"}


def streamed(whole: Json, *, size: int = 4) -> list[Json]:
    """The events in which Anthropic streams this answer, its texts and arguments in pieces of `size` characters."""
    begin = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    events: list[Json] = [{"type": "message_start", "message": begin}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        empty, deltas = _pieces(block, size)
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None, "stop_details": whole.get("stop_details")}
    events.append({"type": "message_delta", "delta": delta, "usage": whole["usage"]})
    events.append({"type": "message_stop"})
    return events


def _pieces(block: Json, size: int) -> tuple[Json, list[Json]]:
    """The block as it starts, and its deltas."""
    if block["type"] == "text":
        cut = _cut(block["text"], size)
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in cut]
    if block["type"] == "tool_use":
        written = json.dumps(block["input"], ensure_ascii=False, separators=(",", ":")) if block["input"] else ""
        cut = _cut(written, size)
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *cut]]
    thought = [{"type": "thinking_delta", "thinking": block["thinking"]}]
    signed = {"type": "signature_delta", "signature": block["signature"]}
    return {"type": "thinking", "thinking": "", "signature": ""}, [*thought, signed]


def _cut(said: str, size: int) -> list[str]:
    return [said[at : at + size] for at in range(0, len(said), size)]


_words = st.text(max_size=12)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)
_counts = st.none() | st.integers(0, 10**6)


@st.composite
def messages(draw: st.DrawFn) -> Json:
    """Any whole answer to a request that offered functions."""
    blocks: list[Json] = draw(
        st.lists(
            st.builds(text, _words)
            | st.builds(tool_use, st.sampled_from(["look", "read"]), st.dictionaries(_words, _values, max_size=3))
            | st.builds(thinking, _words),
            max_size=5,
        )
    )
    for number, block in enumerate(blocks):
        if "id" in block:
            block["id"] = f"toolu_{number}"
    stop = draw(
        st.sampled_from(
            [
                "end_turn",
                "stop_sequence",
                "tool_use",
                "max_tokens",
                "model_context_window_exceeded",
                "pause_turn",
                "refusal",
            ]
        )
    )
    details = {"type": "refusal", "category": None, "explanation": draw(st.none() | _words)}
    usage = {
        "input_tokens": draw(st.integers(0, 10**6)),
        "output_tokens": draw(st.integers(1, 10**6)),
        "cache_read_input_tokens": draw(_counts),
        "cache_creation_input_tokens": draw(_counts),
    }
    return message(*blocks, stop=stop, stop_details=details if stop == "refusal" else None, usage=usage)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=12,
)
"""Any JSON value."""


def bent(*whole: Json) -> st.SearchStrategy[Json]:
    """JSON objects that look like these but for one value somewhere in them, which may be any or missing."""

    @st.composite
    def bend(draw: st.DrawFn) -> Json:
        document: Json = json.loads(json.dumps(draw(st.sampled_from(whole))))
        here: Any = document
        while here:
            key = draw(st.sampled_from(list(here) if isinstance(here, dict) else list(range(len(here)))))
            if isinstance(here[key], dict | list) and here[key] and draw(st.booleans()):
                here = here[key]
                continue
            if draw(st.booleans()):
                del here[key]
            else:
                here[key] = draw(anything)
            break
        return document

    return bend()
