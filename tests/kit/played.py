"""A stream of events, read by the provider's own SDK: what it makes of the bytes is what callers get.

Each function plays the bytes as the answer to one request of the real client, over a real socket.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anthropic
import openai

from tests.kit.closing import close

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anthropic.types import Message, RawMessageStreamEvent
    from openai.types import Completion
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_QUESTION: Any = [{"role": "user", "content": "?"}]


async def as_chunks(stream: bytes) -> list[ChatCompletionChunk]:
    """What iterating over `openai`'s stream gives."""
    async with _openai(stream) as client:
        return [
            chunk async for chunk in await client.chat.completions.create(model="m", messages=_QUESTION, stream=True)
        ]


async def as_completion(stream: bytes) -> ChatCompletion:
    """What `openai` has put together when the stream has ended."""
    async with (
        _openai(stream) as client,
        client.chat.completions.stream(model="m", messages=_QUESTION) as chunks,
    ):
        return await chunks.get_final_completion()


async def as_texts(stream: bytes) -> list[Completion]:
    """A legacy completion."""
    async with _openai(stream) as client:
        return [chunk async for chunk in await client.completions.create(model="m", prompt="?", stream=True)]


async def as_events(stream: bytes) -> list[RawMessageStreamEvent]:
    """What iterating over `anthropic`'s raw stream gives."""
    async with _anthropic(stream) as client:
        return [
            event
            async for event in await client.messages.create(model="m", messages=_QUESTION, max_tokens=1, stream=True)
        ]


async def as_message(stream: bytes) -> Message:
    """What `anthropic` has put together when the stream has ended."""
    async with (
        _anthropic(stream) as client,
        client.messages.stream(model="m", messages=_QUESTION, max_tokens=1) as events,
    ):
        return await events.get_final_message()


@asynccontextmanager
async def _openai(stream: bytes) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        _playing(stream) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
    ):
        yield client


@asynccontextmanager
async def _anthropic(stream: bytes) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with (
        _playing(stream) as url,
        anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0) as client,
    ):
        yield client


@asynccontextmanager
async def _playing(stream: bytes) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(_HEAD + stream)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await close(server)
