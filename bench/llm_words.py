"""What the LLM rows send and get: one question, and its answer in the bytes of either provider, whole and in events.

A text of 100 words comes in one word an event, 100 events; what stands around it (the role, block starts, the finish
reason, usage) travels with the first word and behind the last, as providers' own streams come mostly.
"""

import json
import re
from typing import Any

PASSED, TRANSLATED = "gpt-4o-mini", "claude-sonnet-4-5"
"""The model that the caller asks for says which provider answers: one of the caller's own dialect, or Anthropic."""
EVENTS = 100
WORD = b"lorem"
TEXT = " ".join([WORD.decode()] * EVENTS)
PATH = "/v1/chat/completions"
FINISHED = b"data: [DONE]"
SYSTEM = (
    "You are the assistant of a web shop. Answer in one paragraph, in the language of the question. "
    "Never promise a delivery date; name the order's number when there is one. "
)
QUESTION = (
    "My parcel was to come on Monday and has not been seen since it left the depot. Order %06d, two chairs and a lamp. "
    "The neighbours have nothing, and the page only says that it is on its way. What can I do now, and until when?"
)
NUMBER = re.compile(rb"Order (\d{6}),")
"""The provider finds in the question whose it is: no proxy passes a header of ours on."""


def request(model: str, number: int, *, stream: bool) -> bytes:
    """A chat completion's body, about 600 bytes."""
    asked: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION % number}],
        "max_tokens": 400,
        "temperature": 0.2,
    }
    return json.dumps(asked | ({"stream": True} if stream else {})).encode()


def completion() -> bytes:
    said: dict[str, Any] = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
    return json.dumps(
        {
            "id": "chatcmpl-CbB1xYzAbCdEfGhIjKlMnOpQrStUv",
            "object": "chat.completion",
            "created": 1762000000,
            "model": PASSED,
            "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": "stop"}],
            "usage": OPENAI_USAGE,
            "service_tier": "default",
            "system_fingerprint": "fp_44709d6fcb",
        }
    ).encode()


def message() -> bytes:
    return json.dumps(
        MESSAGE
        | {
            "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "end_turn",
            "usage": MESSAGE["usage"] | {"output_tokens": EVENTS},
        }
    ).encode()


def completion_events(*, usage: bool) -> list[bytes]:
    """What is written at a time: an event for each word, the first with the role before it; then the end."""
    words = [_chunk({"content": f"{WORD.decode()} "}, None) for _ in range(EVENTS)]
    words[0] = _chunk({"role": "assistant", "content": "", "refusal": None}, None) + words[0]
    end = _chunk({}, "stop")
    if usage:
        end += _data({**CHUNK, "choices": [], "usage": OPENAI_USAGE})
    return [*words, end + FINISHED + b"\n\n"]


def message_events() -> list[bytes]:
    """The same as Anthropic writes it."""
    word = _event("content_block_delta", index=0, delta={"type": "text_delta", "text": f"{WORD.decode()} "})
    words = [word] * EVENTS
    block = _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    words[0] = _event("message_start", message=MESSAGE) + block + words[0]
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    end = _event("message_delta", delta=stop, usage={"output_tokens": EVENTS})
    return [*words, _event("content_block_stop", index=0) + end + _event("message_stop")]


OPENAI_USAGE: dict[str, Any] = {
    "prompt_tokens": 120,
    "completion_tokens": EVENTS,
    "total_tokens": 120 + EVENTS,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0},
}
CHUNK: dict[str, Any] = {
    "id": "chatcmpl-CbB1xYzAbCdEfGhIjKlMnOpQrStUv",
    "object": "chat.completion.chunk",
    "created": 1762000000,
    "model": PASSED,
    "service_tier": "default",
    "system_fingerprint": "fp_44709d6fcb",
}
MESSAGE: dict[str, Any] = {
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "type": "message",
    "role": "assistant",
    "model": TRANSLATED,
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {
        "input_tokens": 120,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
    },
}


def _chunk(delta: dict[str, Any], reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _data({**CHUNK, "choices": [choice]})


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **fields})


def _data(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"
