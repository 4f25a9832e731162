"""Callers of a stand-in provider: the providers' own clients, and one that reads bytes."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anthropic
import openai

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.standins.anthropic import AnthropicStandin
    from sidecar.standins.llm_provider import Provider
    from sidecar.standins.openai import OpenAIStandin

GPT = "gpt-4o"
CLAUDE = "claude-sonnet-4-6"
OLDER = {"anthropic-version": "2023-06-01"}


@asynccontextmanager
async def openai_client(provider: OpenAIStandin, key: str = "sk-mine") -> AsyncIterator[openai.AsyncOpenAI]:
    """Of a provider that lives as long as this does; it never tries again."""
    async with provider, openai.AsyncOpenAI(base_url=provider.api, api_key=key, max_retries=0) as made:
        yield made


@asynccontextmanager
async def anthropic_client(provider: AnthropicStandin, key: str = "sk-mine") -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Of a provider that lives as long as this does; it never tries again."""
    async with provider, anthropic.AsyncAnthropic(base_url=provider.url, api_key=key, max_retries=0) as made:
        yield made


def chat(text: str = "one two three four", **more: Any) -> dict[str, Any]:
    return {"model": GPT, "messages": [{"role": "user", "content": text}], **more}


def message(text: str = "one two three four", **more: Any) -> dict[str, Any]:
    return {"model": CLAUDE, "max_tokens": 4000, "messages": [{"role": "user", "content": text}], **more}


@dataclass(frozen=True, slots=True)
class Bytes:
    """What came over one connection; `reset`: it ended with RST."""

    head: bytes
    body: bytes
    reset: bool

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    def field(self, name: str) -> str:
        for line in self.head.decode("latin-1").split("\r\n"):
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return ""

    @property
    def chunks(self) -> tuple[list[bytes], bool]:
        """The data of each whole chunk, and whether the last, empty one came."""
        found: list[bytes] = []
        rest = self.body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            if not length:
                return found, rest == b"\r\n"
            if rest[length : length + 2] != b"\r\n":
                break
            found.append(rest[:length])
            rest = rest[length + 2 :]
        return found, False


PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


async def bytes_of(
    provider: Provider, document: Any, path: str = "", method: str = "POST", fields: dict[str, str] | None = None
) -> Bytes:
    """Ask on a connection of its own, and read until that ends."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    path = path or PATHS[provider.dialect]
    told = {"Host": "localhost", "Content-Length": str(len(body)), "Connection": "close", **OLDER, **(fields or {})}
    head = "".join([f"{method} {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in told.items()), "\r\n"])
    reader, writer = await asyncio.open_connection(provider.host, provider.port)
    came, reset = b"", False
    try:
        writer.write(head.encode() + body)
        while piece := await reader.read(65536):
            came += piece
    except ConnectionResetError:
        reset = True
    finally:
        writer.close()
    begin, _, rest = came.partition(b"\r\n\r\n")
    return Bytes(begin, rest, reset)
