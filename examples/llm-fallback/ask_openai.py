"""Asks a model each line of its input, first for a whole answer, then for a streamed one, by OpenAI's own client.

echo "Are you there?" | OPENAI_BASE_URL=http://127.0.0.1:7070/v1 OPENAI_API_KEY=any python ask_openai.py

Nothing here knows of a sidecar but `told`, which shows what its headers say. A line for
each answer: HOW UPSTREAM/MODEL ATTEMPTS REQUEST-ID TEXT.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from openai import OpenAI, OpenAIError

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = "gpt-4o"


def whole(client: OpenAI, question: str) -> str:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": question}]
    )
    return f"{told(raw.headers)} {raw.parse().choices[0].message.content}"


def stream(client: OpenAI, question: str) -> str:
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": question}], stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices]
    return f"{told(raw.headers)} {''.join(pieces)}"


def told(headers: Mapping[str, str]) -> str:
    model = f"{headers['X-Sidecar-Upstream']}/{headers['X-Sidecar-Model']}"
    return f"{model} {headers['X-Sidecar-Attempts']} {headers['X-Sidecar-Request-ID']}"


def main() -> None:
    client = OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY
    for line in sys.stdin:
        for ask in (whole, stream):
            try:
                print(ask.__name__, ask(client, line.strip()), flush=True)
            except OpenAIError as error:
                print(f"{ask.__name__} failed - - {error!r}", flush=True)


if __name__ == "__main__":
    main()
