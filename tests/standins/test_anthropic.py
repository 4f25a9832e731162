"""Anthropic's own client against the stand-in: whole answers and streams, tools, thinking, errors."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anthropic

from sidecar.standins.anthropic import AnthropicStandin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SONNET = "claude-sonnet-4-6"


@asynccontextmanager
async def client(provider: AnthropicStandin, key: str = "sk-mine") -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with provider, anthropic.AsyncAnthropic(base_url=provider.url, api_key=key, max_retries=0) as made:
        yield made


async def test_it_says_what_it_was_told() -> None:
    provider = AnthropicStandin()
    async with client(provider) as caller:
        told = await caller.messages.create(
            model=SONNET, max_tokens=100, messages=[{"role": "user", "content": "hi there"}]
        )
    assert [block.to_dict() for block in told.content] == [
        {"type": "text", "text": "You said: hi there", "citations": None}
    ]
    assert told.stop_reason == "end_turn"
    assert (told.usage.input_tokens, told.usage.output_tokens) == (5, 4)
    seen = provider.requests[-1]
    assert (seen.method, seen.path, seen.model) == ("POST", "/v1/messages", SONNET)
