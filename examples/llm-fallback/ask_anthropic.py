"""Asks a model each line of its input, first for a whole answer, then for a streamed one, by Anthropic's own client.

echo "Are you there?" | ANTHROPIC_BASE_URL=http://127.0.0.1:7070 ANTHROPIC_API_KEY=any python ask_anthropic.py

Nothing here knows of a sidecar but `told`, which shows what its headers say. A line for
each answer: HOW UPSTREAM/MODEL ATTEMPTS REQUEST-ID TEXT.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from anthropic import Anthropic, AnthropicError

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = "claude-sonnet-5-5"


def whole(client: Anthropic, question: str) -> str:
    raw = client.messages.with_raw_response.create(
        model=MODEL, max_tokens=1024, messages=[{"role": "user", "content": question}]
    )
    text = "".join(block.text for block in raw.parse().content if block.type == "text")
    return f"{told(raw.headers)} {text}"


def stream(client: Anthropic, question: str) -> str:
    asked = client.messages.stream(model=MODEL, max_tokens=1024, messages=[{"role": "user", "content": question}])
    with asked as events:
        return f"{told(events.response.headers)} {''.join(events.text_stream)}"


def told(headers: Mapping[str, str]) -> str:
    model = f"{headers['X-Sidecar-Upstream']}/{headers['X-Sidecar-Model']}"
    return f"{model} {headers['X-Sidecar-Attempts']} {headers['X-Sidecar-Request-ID']}"


def main() -> None:
    client = Anthropic()  # reads ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY
    for line in sys.stdin:
        for ask in (whole, stream):
            try:
                print(ask.__name__, ask(client, line.strip()), flush=True)
            except AnthropicError as error:
                print(f"{ask.__name__} failed - - {error!r}", flush=True)


if __name__ == "__main__":
    main()
