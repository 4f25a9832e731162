"""Streams put together as a client does it, and completions taken apart as a server does it.

Every chunk repeats who answers; an assembly in which they differ fails.
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]


def as_completion(told: list[Any]) -> Json:
    """The `chat.completion` of all chunks of a stream, [DONE] at its end."""
    *chunks, done = told
    assert done == "[DONE]"
    same = [{name: chunk[name] for name in ("id", "created", "model")} for chunk in chunks]
    assert all(one == same[0] for one in same)
    said: Json = {"role": "assistant", "content": None, "refusal": None}
    calls: list[Json] = []
    reasons = []
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        for name, value in choice["delta"].items():
            if name == "tool_calls":
                _add_calls(calls, value)
            elif name != "role" and value:
                said[name] = (said[name] or "") + value
        reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
    (reason,) = reasons
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"] == []
    if calls:
        said["tool_calls"] = calls
    elif said["content"] is None and said["refusal"] is None:
        said["content"] = ""
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason}
    return {**same[0], "object": "chat.completion", "choices": [choice], "usage": chunks[-1]["usage"]}


def _add_calls(calls: list[Json], told: list[Json]) -> None:
    for call in told:
        if call["index"] == len(calls):
            calls.append({"id": call["id"], "type": call["type"], "function": {**call["function"]}})
        else:
            calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]


def as_message(events: list[tuple[str, Json]]) -> Json:
    """The message of all events of a stream, each with its name."""
    assert all(name == event["type"] for name, event in events)
    assert [events[0][0], events[-2][0], events[-1][0]] == ["message_start", "message_delta", "message_stop"]
    message: Json = {**events[0][1]["message"], "content": []}
    blocks: list[Json] = message["content"]
    pieces = ""
    for name, event in events[1:-2]:
        assert event["index"] == len(blocks) - (name != "content_block_start")
        if name == "content_block_start":
            blocks.append(dict(event["content_block"]))
            pieces = ""
        elif name == "content_block_delta":
            pieces += event["delta"].get("text") or event["delta"].get("partial_json") or ""
        elif blocks[-1]["type"] == "text":
            blocks[-1]["text"] += pieces
        else:
            blocks[-1]["input"] = json.loads(pieces or "{}")
    ended = events[-2][1]
    return {**message, "stop_details": None, **ended["delta"], "usage": {**message["usage"], **ended["usage"]}}


def as_response(events: list[tuple[str, Json]]) -> Json:
    """The response that the last event of a stream has. Its items are those that were told before, piece by piece."""
    name, last = events[-1]
    assert name in ("response.completed", "response.incomplete")
    assert [event["sequence_number"] for _, event in events] == list(range(len(events)))
    response: Json = last["response"]
    done = [event["item"] for name, event in events if name == "response.output_item.done"]
    assert done == response["output"]
    return response


def chunks_of(completion: Json, *, size: int) -> list[Json]:
    """The chunks in which OpenAI streams this completion, its texts and arguments in pieces of `size` characters."""
    (choice,) = completion["choices"]
    said = choice["message"]
    deltas: list[Json] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"content": piece} for piece in _cut(said["content"], size)]
    deltas += [{"refusal": piece} for piece in _cut(said["refusal"], size)]
    for index, call in enumerate(said.get("tool_calls", [])):
        begun = {"index": index, **call, "function": {"name": call["function"]["name"], "arguments": ""}}
        deltas.append({"tool_calls": [begun]})
        for piece in _cut(call["function"]["arguments"], size):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    same = {**completion, "object": "chat.completion.chunk", "usage": None}
    told = [{**same, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    told.append({**same, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    return [*told, {**same, "choices": [], "usage": completion["usage"]}]


def _cut(said: str | None, size: int) -> list[str]:
    return [said[at : at + size] for at in range(0, len(said or ""), size)] if said else []
