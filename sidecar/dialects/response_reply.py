"""An Anthropic answer as OpenAI's `response` object.

Consecutive text blocks are the parts of one message, each tool use is an item of its
own, and a refusal's explanation is a part behind the text. Thinking has no place in it.
What the stream's translator (response_events.py) needs too stands here, so that both
end in the same object.

Ids are made of the message's own: the same answer has the same ids, however often it is translated.

Field names: `openai.types.responses.Response`, `anthropic.types.Message`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.dialects.due import due_text
from sidecar.dialects.fields import word
from sidecar.dialects.llm_usage import Counts, counts_of_message, response_usage
from sidecar.dialects.sse_writing import written
from sidecar.dialects.stop_reasons import explanation_of
from sidecar.dialects.tool_ids import from_anthropic_id
from sidecar.dialects.translated import BadEvent

if TYPE_CHECKING:
    from sidecar.llm import Document

_INCOMPLETE = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "refusal": "content_filter",
}
_PLAIN: Document = {"format": {"type": "text"}}


def to_response(message: Document, request: Document, *, created: int) -> Document:
    """The `response` for a whole answer to `request`, a request that `responses_to_messages` took.

    `created` is in seconds since 1970. Raises `BadEvent` where the answer is none.
    """
    response = begun(message, request, created=created)
    content = message.get("content")
    if not isinstance(content, list):
        raise BadEvent("content: a list is due")
    output: list[Document] = []
    for block in content:
        kind = _object(block, "content").get("type")
        if kind == "text":
            part = text_part(due_text(block, "text"))
            if output and output[-1]["type"] == "message":
                output[-1]["content"].append(part)
            else:
                output.append(message_item(response["id"], len(output), [part]))
        elif kind == "tool_use":
            output.append(call_item(response["id"], len(output), block, arguments_of(block)))
        else:
            refuse_unsaid(kind)
    stop = message.get("stop_reason")
    if (explanation := explanation_of(stop, message.get("stop_details"))) is not None:
        if not output or output[-1]["type"] != "message":
            output.append(message_item(response["id"], len(output), []))
        output[-1]["content"].append(refusal_part(explanation))
    return ended(response, output, stop, counts_of_message(message))


def begun(message: Document, request: Document, *, created: int) -> Document:
    """The response as it stands before its first item. `message` is a whole answer or that of a `message_start`."""
    if message.get("type", "message") != "message":
        raise BadEvent("the answer is no message")
    name, model = message.get("id"), message.get("model")
    repeated: Document = {
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "temperature": 1.0,
        "text": _PLAIN,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
    }
    repeated |= {key: value for key in repeated if (value := request.get(key)) is not None}
    if (user := request.get("user")) is not None:
        repeated["user"] = user
    repeated["tools"] = [{"strict": None, "parameters": None, **tool} for tool in repeated["tools"]]
    if repeated["text"].get("format") is None:
        repeated["text"] = {**repeated["text"], **_PLAIN}
    return {
        "id": "resp_" + (name.removeprefix("msg_") if isinstance(name, str) else ""),
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model if isinstance(model, str) else "",
        "output": [],
        "usage": None,
        **repeated,
    }


def ended(response: Document, output: list[Document], stop: object, counts: Counts | None) -> Document:
    """The response with all that it did not have when it began. Where the answer was cut short, so is its last item."""
    reason = _INCOMPLETE.get(stop) if isinstance(stop, str) else None
    status = "completed" if reason is None else "incomplete"
    for item in output:
        item["status"] = "completed"
    if output:
        output[-1]["status"] = status
    details = None if reason is None else {"reason": reason}
    usage = None if counts is None else response_usage(counts)
    return {**response, "status": status, "incomplete_details": details, "output": output, "usage": usage}


def message_item(response_id: str, index: int, parts: list[Document]) -> Document:
    name = f"msg_{response_id.removeprefix('resp_')}_{index}"
    return {"id": name, "type": "message", "status": "in_progress", "role": "assistant", "content": parts}


def call_item(response_id: str, index: int, block: Document, arguments: str) -> Document:
    """A function call of a `tool_use` block, under the id that the caller's tools know it by."""
    return {
        "id": f"fc_{response_id.removeprefix('resp_')}_{index}",
        "type": "function_call",
        "status": "in_progress",
        "arguments": arguments,
        "call_id": from_anthropic_id(due_text(block, "id")),
        "name": due_text(block, "name"),
    }


def text_part(text: str) -> Document:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def refusal_part(text: str) -> Document:
    return {"type": "refusal", "refusal": text}


def arguments_of(block: Document) -> str:
    """The arguments of a `tool_use` block as JSON text. Raises `BadEvent`."""
    given = block.get("input")
    return "{}" if given is None else written(_object(given, "input")).decode()


def refuse_unsaid(kind: object) -> None:
    """Thinking is left unsaid. Blocks that only a server's own tools make cannot be said: raises `BadEvent`."""
    if kind not in ("thinking", "redacted_thinking"):
        raise BadEvent(f"content: a response has no place for a block of type {word(kind)}")


def _object(value: object, name: str) -> Document:
    if not isinstance(value, dict):
        raise BadEvent(f"{name}: an object is due")
    return value
