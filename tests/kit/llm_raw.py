"""Raw HTTP callers of LLM routes, where a test is about headers, counts and times and not about a client.

answer = await chats(sidecar, "gpt-4o")
assert (answer.status, text_of(answer)) == (200, "You said: hi there")
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.kit.llm_stage import HI
from tests.kit.running import request

if TYPE_CHECKING:
    from tests.kit.caller import Answer
    from tests.kit.running import Running

VERSION = "anthropic-version: 2023-06-01"


def chat_body(model: str, text: str = HI, **more: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


async def chats(sidecar: Running, model: str, *fields: str, text: str = HI, **more: Any) -> Answer:
    """As a client of OpenAI's asks."""
    body = chat_body(model, text, **more)
    return await sidecar.ask("/v1/chat/completions", *fields, method="POST", body=body)


async def messages(sidecar: Running, model: str, *fields: str, text: str = HI, **more: Any) -> Answer:
    """As one of Anthropic's does."""
    body = chat_body(model, text, **{"max_tokens": 1000, **more})
    return await sidecar.ask("/v1/messages", VERSION, *fields, method="POST", body=body)


async def streamed(sidecar: Running, model: str, *fields: str, text: str = HI, **more: Any) -> bytes:
    """All that comes of a stream that OpenAI's client asks for, framing included, until its connection ends."""
    caller = await sidecar.caller()
    body = chat_body(model, text, stream=True, **more)
    caller.send(request("/v1/chat/completions", "Connection: close", *fields, method="POST", body=body))
    came = await caller.ended()
    await caller.close()
    return came


def text_of(answer: Answer) -> str:
    """What the model said in a whole answer of either dialect."""
    said = json.loads(answer.body)
    if "choices" in said:
        return str(said["choices"][0]["message"]["content"])
    return "".join(block["text"] for block in said["content"])


def error_of(answer: Answer) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(answer.body)["error"]
    return error


def code_of(answer: Answer) -> tuple[int, str]:
    """Status and code of an error in OpenAI's shape."""
    return answer.status, str(error_of(answer)["code"])


def route_of(answer: Answer) -> tuple[str, str]:
    """Who answered, and at which attempt."""
    return answer.fields["x-sidecar-upstream"], answer.fields["x-sidecar-attempts"]


async def breakers(sidecar: Running) -> dict[str, str]:
    """The state of each breaker by its name."""
    told = json.loads((await sidecar.ask("/circuit-breakers")).body)
    return {name: one["state"] for name, one in told.items()}


async def health(sidecar: Running) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((await sidecar.ask("/health")).body)
    return told


async def metrics(sidecar: Running, name: str) -> dict[str, float]:
    """The samples of that name: what stands between the braces, and the value."""
    text = (await sidecar.ask("/metrics")).body.decode()
    found = {}
    for line in text.splitlines():
        if line.startswith(name + "{"):
            labels, _, value = line[len(name) + 1 :].rpartition("} ")
            found[labels] = float(value)
    return found
