"""OpenAI's operations that are no conversation: legacy completions, embeddings, moderations, the list of models."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import TYPE_CHECKING

from sidecar.standins.llm_answers import Answer, count
from sidecar.standins.llm_stream import Event, Stage
from sidecar.standins.openai_chat import DONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.llm import Document, Usage

DIMENSIONS = 1536
"""Of text-embedding-3-small."""
ALARMING = "kill"
"""The word that a moderation flags."""
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def prompts(document: Document) -> list[str]:
    prompt = document.get("prompt")
    if isinstance(prompt, list):
        return [str(one) for one in prompt]
    return [str(prompt or "")]


def short_usage(cost: Usage) -> Document:
    return {"prompt_tokens": cost.input, "completion_tokens": cost.output, "total_tokens": cost.total}


def stop(answer: Answer) -> str:
    return answer.stop or "stop"


def completion(head: Document, answer: Answer, cost: Usage, choices: int) -> Document:
    return {
        **head,
        "object": "text_completion",
        "choices": [
            {"text": answer.text, "index": index, "logprobs": None, "finish_reason": stop(answer)}
            for index in range(choices)
        ],
        "usage": short_usage(cost),
    }


def completion_stream(head: Document, answer: Answer, told: Document | None, choices: int) -> list[Event]:
    """`told` as in `openai_chat.stream`."""

    def chunk(choices: list[Document], stage: Stage) -> Event:
        data = {**head, "object": "text_completion", "choices": choices}
        if told is not None:
            data["usage"] = told if stage is Stage.USAGE else None
        return Event(data, stage=stage)

    def choice(index: int, text: str, reason: str | None) -> Document:
        return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}

    made = [chunk([choice(index, delta, None)], Stage.TOKEN) for delta in pieces(answer) for index in range(choices)]
    made += [chunk([choice(index, "", stop(answer))], Stage.FINISH) for index in range(choices)]
    if told is not None:
        made.append(chunk([], Stage.USAGE))
    return [*made, DONE]


def pieces(answer: Answer) -> Iterable[str]:
    return (delta for part in answer.parts for delta in getattr(part, "deltas", ()))


def inputs(document: Document) -> list[str]:
    """The texts of an `input`: one, several, or token numbers, alone or in lists."""
    given = document.get("input")
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        return []
    if given and all(isinstance(one, int) for one in given):
        return [str(given)]
    return [str(one.get("text", one)) if isinstance(one, dict) else str(one) for one in given]


def embeddings(document: Document, model: str) -> Document:
    size = document.get("dimensions")
    texts = inputs(document)
    as_text = document.get("encoding_format") == "base64"
    used = sum(map(count, texts))
    data: list[Document] = []
    for index, text in enumerate(texts):
        vector = embedding(text, size if isinstance(size, int) and size > 0 else DIMENSIONS)
        # Little-endian float32, as OpenAI's own client reads it.
        packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": packed if as_text else vector})
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": used, "total_tokens": used}}


def embedding(text: str, size: int) -> list[float]:
    """Of length 1, as the real ones are, and the same for the same text."""
    noise = hashlib.shake_128(text.encode(errors="surrogatepass")).digest(size)
    vector = [byte - 127.5 for byte in noise]
    length = math.hypot(*vector)
    # Values that float32 holds exactly: both encodings say the same.
    return [struct.unpack("<f", struct.pack("<f", value / length))[0] for value in vector]


def moderations(document: Document, id_: str, model: str) -> Document:
    return {"id": id_, "model": model, "results": [verdict(text) for text in inputs(document)]}


def verdict(text: str) -> Document:
    bad = {"violence"} if ALARMING in text.lower() else set()
    return {
        "flagged": bool(bad),
        "categories": {name: name in bad for name in CATEGORIES},
        "category_scores": {name: 0.97 if name in bad else 0.00001 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


def model(name: str) -> Document:
    return {"id": name, "object": "model", "created": 1715367049, "owned_by": "system"}
