"""OpenAI's own client against the stand-in: whole answers and streams, tools, structured output, errors."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import openai

from sidecar.standins.openai import OpenAIStandin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def client(provider: OpenAIStandin, key: str = "sk-mine") -> AsyncIterator[openai.AsyncOpenAI]:
    async with provider, openai.AsyncOpenAI(base_url=provider.api, api_key=key, max_retries=0) as made:
        yield made


async def test_it_says_what_it_was_told() -> None:
    provider = OpenAIStandin()
    async with client(provider) as caller:
        told = await caller.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi there"}])
    assert told.choices[0].message.content == "You said: hi there"
    assert told.choices[0].finish_reason == "stop"
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens, told.usage.total_tokens) == (5, 4, 9)
    seen = provider.requests[-1]
    assert (seen.method, seen.path, seen.model) == ("POST", "/v1/chat/completions", "gpt-4o")
    assert seen.header("authorization") == "Bearer sk-mine"
