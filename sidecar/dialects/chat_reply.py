"""An Anthropic answer as OpenAI's chat completion.

Text blocks are one content, tool uses are tool calls; a refusal is an answer with its
explanation beside the content. Thinking has no place in it and is left out. Citations,
the stop sequence that was met, and `pause_turn` are lost. Blocks that only a server's
own tools make cannot be said.

Field names: `anthropic.types.Message`, `openai.types.chat.ChatCompletion`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.dialects.due import due_object, due_text
from sidecar.dialects.fields import word
from sidecar.dialects.llm_ids import to_completion_id
from sidecar.dialects.llm_usage import completion_usage, counts_of_message
from sidecar.dialects.sse_writing import written
from sidecar.dialects.stop_reasons import explanation_of, to_finish_reason
from sidecar.dialects.tool_ids import from_anthropic_id
from sidecar.dialects.translated import BadEvent

if TYPE_CHECKING:
    from sidecar.llm import Document

_UNSAID = frozenset({"thinking", "redacted_thinking"})


def to_completion(message: Document, *, created: int) -> Document:
    """The completion for a whole answer; `created` is in seconds since 1970. Shares no mutable value with `message`.

    Raises `BadEvent` where the answer is none, or has what a completion cannot say.
    """
    if message.get("type", "message") != "message":
        raise BadEvent(f"type: a message is due, not {word(message.get('type'))}")
    texts, calls = _content(message.get("content"))
    stop, model = message.get("stop_reason"), message.get("model")
    explanation = explanation_of(stop, message.get("stop_details"))
    said: Document = {"role": "assistant", "content": "".join(texts), "refusal": explanation}
    if not texts and (calls or explanation is not None):
        said["content"] = None
    if calls:
        said["tool_calls"] = calls
    finish_reason = to_finish_reason(stop, tools=bool(calls))
    completion: Document = {
        "id": to_completion_id(message.get("id")),
        "object": "chat.completion",
        "created": created,
        "model": model if isinstance(model, str) else "",
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish_reason}],
    }
    if (counts := counts_of_message(message)) is not None:
        completion["usage"] = completion_usage(counts)
    return completion


def _content(blocks: object) -> tuple[list[str], list[Document]]:
    """The texts and the tool calls."""
    if not isinstance(blocks, list):
        raise BadEvent("content: a list is due")
    texts: list[str] = []
    calls: list[Document] = []
    for block in blocks:
        if not isinstance(block, dict):
            raise BadEvent("content: an object is due for each block")
        kind = block.get("type")
        if kind == "text":
            if text := due_text(block, "text"):
                texts.append(text)
        elif kind == "tool_use":
            calls.append(_call(block))
        elif not isinstance(kind, str) or kind not in _UNSAID:
            raise BadEvent(f"content: a chat completion has no place for a block of type {word(kind)}")
    return texts, calls


def _call(block: Document) -> Document:
    """A tool call under the id that the caller's tools know it by."""
    arguments = written(due_object(block, "input")).decode()
    return {
        "id": from_anthropic_id(due_text(block, "id")),
        "type": "function",
        "function": {"name": due_text(block, "name"), "arguments": arguments},
    }
