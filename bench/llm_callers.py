"""The callers of the LLM rows: connections that stay open, one chat completion after another on each.

Every answer is looked at. A whole one must hold all words, a streamed one all words and its `[DONE]`; anything else,
and every connection that is lost, is an error.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import cast

from bench import llm_words as words
from bench.llm_provider import Streams

_END_OF_CHUNKS = b"0\r\n\r\n"


@dataclass
class Asked:
    """What is asked for, and what came of it."""

    model: str
    stream: bool
    headers: dict[str, str]
    until: float
    """On the monotonic clock: no new question after it. 0: one question on each connection."""
    requests: int = 0
    events: int = 0
    errors: int = 0
    times: list[float] = field(default_factory=list)
    """Seconds from question to the whole answer."""
    wrong: str = ""
    """The beginning of an answer that was wrong."""


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, number: int, port: int, asked: Asked, streams: Streams) -> None:
        self._number = number
        self._asked = asked
        self._streams = streams
        body = words.request(asked.model, number, stream=asked.stream)
        fields = {
            "Host": f"127.0.0.1:{port}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "OpenAI/Python 2.8.1",
            "Content-Length": str(len(body)),
            "Authorization": "Bearer sk-bench",
            **asked.headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._question = f"POST {words.PATH} HTTP/1.1\r\n{lines}\r\n".encode() + body
        self._answer = bytearray()
        self._length = -1
        self._began = 0.0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        self._answer.clear()
        self._length = -1
        self._began = time.monotonic()
        self._transport.write(self._question)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        answer += data
        if self._length < 0:
            end = answer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._length = _length_of(bytes(answer[:end]).lower(), end + 4)
        if self._length:
            if len(answer) >= self._length:
                self._whole()
        elif answer.endswith(_END_OF_CHUNKS):
            self._whole()
        elif self._asked.stream and words.WORD in data:
            self._streams.got(self._number)

    def _whole(self) -> None:
        asked = self._asked
        asked.requests += 1
        asked.times.append(time.monotonic() - self._began)
        told = bytes(self._answer)
        count = told.count(words.WORD)
        right = told.startswith(b"HTTP/1.1 200") and count == words.EVENTS and (words.FINISHED in told) == asked.stream
        if asked.stream:
            asked.events += count
        if not right:
            asked.errors += 1
            asked.wrong = asked.wrong or f"{count} words: " + told[-300:].decode(errors="replace")
        if time.monotonic() < asked.until:
            self._ask()
        else:
            self._transport.close()

    def close(self) -> None:
        """Whatever it waits for."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked.until and time.monotonic() < self._asked.until:
            self._asked.errors += 1
            self._asked.wrong = self._asked.wrong or f"connection lost: {exc}"
        if not self.ended.done():
            self.ended.set_result(None)


def _length_of(head: bytes, body: int) -> int:
    """Bytes of head and body; 0 when the body is chunked."""
    start = head.find(b"\r\ncontent-length:")
    if start < 0:
        return 0
    return body + int(head[start + 17 :].split(b"\r\n", 1)[0])


async def call(port: int, connections: int, asked: Asked, streams: Streams) -> None:
    """Keeps `connections` callers busy until it is time, and lets each have its last answer."""
    loop = asyncio.get_running_loop()
    callers: list[Caller] = []

    def caller() -> Caller:
        callers.append(Caller(len(callers), port, asked, streams))
        return callers[-1]

    try:
        for _ in range(connections):
            await loop.create_connection(caller, "127.0.0.1", port)
        await asyncio.gather(*(one.ended for one in callers))
    finally:
        for one in callers:
            one.close()
