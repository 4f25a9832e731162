"""An OpenAI chat completion as Anthropic's message, its text before its tool uses.

A message needs parsed input where a completion has a text of arguments: what is no
object of JSON makes the answer bad, unless the answer was cut for its length just
there; a call that is half there is none, and is left out. Reasoning that servers send
beside the content has no signature that Anthropic would take back, and is left out; so
are annotations and log probabilities.

Field names: `openai.types.chat.ChatCompletion`, `anthropic.types.Message`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.dialects.due import due_object, due_text
from sidecar.dialects.fields import word
from sidecar.dialects.llm_ids import to_message_id, tool_id_of
from sidecar.dialects.llm_usage import Counts, counts_of_completion, message_usage
from sidecar.dialects.sse_writing import written
from sidecar.dialects.stop_reasons import to_stop_reason
from sidecar.dialects.tool_arguments import parsed
from sidecar.dialects.tool_ids import to_anthropic_id
from sidecar.dialects.translated import BadEvent

if TYPE_CHECKING:
    from sidecar.llm import Document


def to_message(completion: Document) -> Document:
    """The message for a whole completion. Shares no mutable value with it.

    Raises `BadEvent` where the completion is none, or has what a message cannot say.
    """
    choices = completion.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise BadEvent("choices: one is due")
    choice, model = choices[0], completion.get("model")
    said, reason = due_object(choice, "message"), choice.get("finish_reason")
    if reason == "error":  # OpenRouter's word for an answer that broke under way
        raise BadEvent("finish_reason: the answer broke under way")
    if said.get("audio") is not None:
        raise BadEvent("message.audio: a message has no sound")
    text, refusal = _text(said.get("content")), said.get("refusal")
    explanation = refusal if isinstance(refusal, str) and refusal else None
    blocks: list[Document] = [{"type": "text", "text": text}] if text else []
    tools = _tools(said, completion.get("id"), cut=reason == "length")
    return {
        "id": to_message_id(completion.get("id")),
        "type": "message",
        "role": "assistant",
        "model": model if isinstance(model, str) else "",
        "content": blocks + tools,
        "stop_reason": "refusal" if explanation else to_stop_reason(reason, tools=bool(tools)),
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "category": None, "explanation": explanation} if explanation else None,
        "usage": message_usage(counts_of_completion(completion) or Counts()),
    }


def _text(content: object) -> str:
    """The content; some servers have a list of parts, with reasoning among them (Mistral)."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise BadEvent("message.content: a text is due")
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            texts.append(due_text(part, "text"))
        elif kind != "thinking":
            raise BadEvent(f"message.content: a message has no place for a part of type {word(kind)}")
    return "".join(texts)


def _tools(said: Document, completion_id: object, *, cut: bool) -> list[Document]:
    calls = said.get("tool_calls")
    if calls is None:
        calls = []
    if not isinstance(calls, list):
        raise BadEvent("message.tool_calls: a list is due")
    if not calls and said.get("function_call") is not None:  # what tool calls were before they had ids
        calls = [{"function": said["function_call"]}]
    blocks: list[Document] = []
    for number, call in enumerate(calls):
        if not isinstance(call, dict) or (call.get("type") or "function") != "function":
            raise BadEvent("message.tool_calls: a message has no place for what calls no function")
        function, call_id = due_object(call, "function"), call.get("id")
        last = cut and number == len(calls) - 1
        if last and not function.get("arguments"):
            break
        try:
            given = _input(function.get("arguments"))
        except ValueError as error:
            if last:
                break
            raise BadEvent(f"function.arguments: {error}") from error
        if not (name := due_text(function, "name")):
            raise BadEvent("function.name: a name is due")
        known = call_id if isinstance(call_id, str) and call_id else tool_id_of(completion_id, number)
        blocks.append({"type": "tool_use", "id": to_anthropic_id(known), "name": name, "input": given})
    return blocks


def _input(arguments: object) -> Document:
    """The arguments as an object of its own. Some servers send null for none, and Ollama the object itself.

    Raises ValueError.
    """
    if isinstance(arguments, dict):
        arguments = written(arguments).decode()
    if not isinstance(arguments, str | None):
        raise ValueError("are no text")  # noqa: TRY004 - one error for all that they can be
    return parsed(arguments or "")
