"""The demo's chapter on LLM providers: two dialects, and each provider answering for the other.

Three stand-ins: OpenAI, Anthropic, and a small server with a small limit that speaks
OpenAI's dialect. The callers ask for a model by the name of a chain, in either dialect,
and have no resilience of their own.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.dialects.sse import Splitter
from sidecar.standins.anthropic import AnthropicStandin
from sidecar.standins.demo_beamline import Told
from sidecar.standins.llm_faults import HEALTHY, Fault, Kind
from sidecar.standins.llm_limits import Limits
from sidecar.standins.openai import OpenAIStandin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from sidecar.llm import Document
    from sidecar.standins.llm_provider import Provider

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
WORDS = {CHAT: "chat", MESSAGES: "messages"}
OF_ANTHROPIC = {"anthropic-version": "2023-06-01"}
QUESTION = [{"role": "user", "content": "How will this end?"}]
PACE = 0.03
"""Seconds from one token to the next: a stream is seen to be one."""
TAKES, WINDOW = 2, 3.0
"""Requests that the small server takes in so many seconds."""
FAULTY = Fault(Kind.STATUS, status=503, share=0.5)
"""How OpenAI is once the story is told, for who tries things."""


def _small() -> Provider:
    small = OpenAIStandin("small", models=())
    small.limits = Limits(TAKES, window=WINDOW, clock=small.clock)
    return small


@dataclass(slots=True)
class Providers:
    """The stand-ins. They take orders for trouble at their own ports."""

    openai: Provider = field(default_factory=lambda: OpenAIStandin(pace=PACE))
    anthropic: Provider = field(default_factory=lambda: AnthropicStandin(pace=PACE))
    small: Provider = field(default_factory=_small)

    async def start(self) -> dict[str, str]:
        """Listen. The URLs by the names that they have in the policy file."""
        each = (self.openai, self.anthropic, self.small)
        for provider in each:
            await provider.start()
        return {provider.name: provider.api for provider in each}

    async def stop(self) -> None:
        """Close every port."""
        for provider in (self.openai, self.anthropic, self.small):
            await provider.stop()

    def hints(self, http: str) -> list[tuple[str, str]]:
        """What to try by hand, each with what it shows."""
        asked = '"messages": [{"role": "user", "content": "Are you there?"}]'
        json_ = "-H 'Content-Type: application/json'"
        chat = f'curl -i {http}{CHAT} {json_} -d \'{{"model": "smart", {asked}}}\''
        streamed = f'{{"model": "smart", "max_tokens": 99, "stream": true, {asked}}}'
        messages = f"curl -iN {http}{MESSAGES} {json_} -H 'anthropic-version: 2023-06-01' -d '{streamed}'"
        return [
            (chat, "half of OpenAI's answers are 503: X-Sidecar-Model says who answered"),
            (messages, "the same asked in Anthropic's dialect, event by event"),
            (f"curl {http}/v1/models", "the chains, and what the providers list"),
            (
                f"""curl -d '{{"kind": "cut", "tokens": 5}}' {self.openai.url}/_fault""",
                "each of OpenAI's streams breaks: ask again with -N",
            ),
        ]


@dataclass(slots=True)
class Asks:
    """The chapter, and its callers: `tell` hears how each call went."""

    providers: Providers
    session: aiohttp.ClientSession
    http: str
    tell: Callable[[Told], Awaitable[None]]

    async def story(self, say: Callable[[str], None]) -> None:
        """An outage, a stream that breaks, a limit that is nearly reached. Two seconds."""
        openai, small = self.providers.openai, self.providers.small
        say('\nTwo LLM providers. Clients of both ask for "smart", and OpenAI answers in each one\'s dialect:')
        await self.tell(await self.chat())
        await self.tell(await self.messages())
        say("\nOpenAI has an outage. Anthropic answers, and again each client reads its own dialect:")
        await openai.switch(Fault(Kind.STATUS, status=503))
        await self.tell(await self.chat())
        await self.tell(await self.messages())
        say("\nA stream of OpenAI's breaks after five words. Anthropic goes on where it ended:")
        await openai.switch(Fault(Kind.CUT, tokens=5))
        told, text = await self.stream()
        await self.tell(told)
        say(f"      its caller reads: {text}")
        await openai.switch(HEALTHY)
        say(f"\nA small server takes {TAKES} requests in {WINDOW:g} s. It is left alone before it has to say no:")
        for _ in range(TAKES + 1):
            await self.tell(await self.chat("small"))
        say(f"      it was asked {small.count} times")
        await openai.switch(FAULTY)

    async def chat(self, model: str = "smart") -> Told:
        """One whole answer, as OpenAI's clients ask for it."""
        return (await self._ask(CHAT, {"model": model, "messages": QUESTION}))[0]

    async def messages(self) -> Told:
        """One whole answer, as Anthropic's clients ask for it."""
        return (await self._ask(MESSAGES, {"model": "smart", "max_tokens": 99, "messages": QUESTION}))[0]

    async def stream(self) -> tuple[Told, str]:
        """One streamed answer, and its text."""
        told, body = await self._ask(CHAT, {"model": "smart", "stream": True, "messages": QUESTION})
        chunks = [json.loads(event.data) for event in Splitter().feed(body) if event.data.startswith(b"{")]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]
        return told, "".join(delta.get("content") or "" for delta in deltas)

    async def _ask(self, path: str, document: Document) -> tuple[Told, bytes]:
        clock = asyncio.get_running_loop().time
        began = clock()
        headers = OF_ANTHROPIC if path == MESSAGES else {}
        async with self.session.post(self.http + path, json=document, headers=headers) as reply:
            body = await reply.read()
        fields = {name.lower(): value for name, value in reply.headers.items()}
        return Told(WORDS[path], str(reply.status), reply.status < 400, fields, clock() - began), body
