"""The provider of the LLM rows: OpenAI's and Anthropic's paths, canned bytes, whole or one event at a time.

The next event of a stream goes out when its caller has the one before (`Streams.got`): each comes to the proxy in a
read of its own, however slow the proxy is, and no timer sets the pace. A proxy that holds an event back until the next
one comes would stand still: a stream without progress for STALL seconds gets one more.
"""

import asyncio
import re
from collections import deque
from typing import cast

from bench import llm_words as words

STALL = 1.0
_STREAM = re.compile(rb'"stream":\s*true')
_USAGE = re.compile(rb'"include_usage":\s*true')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nx-request-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n%b\r\n"


def _whole(body: bytes) -> bytes:
    return _HEAD % (b"application/json", b"Content-Length: %d\r\n" % len(body)) + body


def _written(events: list[bytes]) -> list[bytes]:
    """Each as a chunk, the head before the first and the last chunk behind the last."""
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
    chunks[0] = _HEAD % (b"text/event-stream; charset=utf-8", b"Transfer-Encoding: chunked\r\n") + chunks[0]
    chunks[-1] += b"0\r\n\r\n"
    return chunks


COMPLETION, MESSAGE = _whole(words.completion()), _whole(words.message())
CHUNKS, CHUNKS_AND_USAGE = (_written(words.completion_events(usage=usage)) for usage in (False, True))
MESSAGES = _written(words.message_events())


class Stream:
    """One answer on its way."""

    __slots__ = ("number", "rest", "transport", "written")

    def __init__(self, number: int, chunks: list[bytes], transport: asyncio.Transport) -> None:
        self.number = number
        self.rest = deque(chunks)
        self.transport = transport
        self.written = 0.0


class Streams:
    """The streams that are open, each by the number in its question."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, Stream] = {}
        self.barrier = 0
        """So many streams must have their first event before any gets its second; 0: none waits."""
        self.pushed = 0
        """Events that were written because nothing had come of the one before."""
        self._loop.call_later(STALL, self._sweep)

    def begin(self, stream: Stream) -> None:
        self._open[stream.number] = stream
        self._write(stream)

    def got(self, number: int) -> None:
        """The caller of that stream has read something of it."""
        if self.barrier:
            self.barrier -= 1
            if not self.barrier:
                for stream in list(self._open.values()):
                    self._write(stream)
            return
        if number in self._open:
            self._write(self._open[number])

    def _write(self, stream: Stream) -> None:
        stream.transport.write(stream.rest.popleft())
        stream.written = self._loop.time()
        if not stream.rest:
            del self._open[stream.number]

    def forget(self, transport: asyncio.Transport) -> None:
        """Its connection is gone."""
        for number in [number for number, stream in self._open.items() if stream.transport is transport]:
            del self._open[number]

    def _sweep(self) -> None:
        self._loop.call_later(STALL, self._sweep)
        if self.barrier:
            return
        before = self._loop.time() - STALL
        for stream in [stream for stream in self._open.values() if stream.written < before]:
            self.pushed += 1
            self._write(stream)


class Provider(asyncio.Protocol):
    """One connection of a proxy to the provider. Requests come one after another."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._streams.forget(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = _LENGTH.search(head)
        if len(body) < int(length[1]) if length else _CHUNKED.search(head) and not body.endswith(b"0\r\n\r\n"):
            return
        self._buffer = b""
        self._answer(head[: head.find(b"\r\n")], body)

    def _answer(self, line: bytes, body: bytes) -> None:
        anthropic = b"/messages" in line
        if not _STREAM.search(body):
            self._transport.write(MESSAGE if anthropic else COMPLETION)
            return
        number = words.NUMBER.search(body)
        if number is None:
            self._transport.abort()
            return
        chunks = MESSAGES if anthropic else CHUNKS_AND_USAGE if _USAGE.search(body) else CHUNKS
        self._streams.begin(Stream(int(number[1]), chunks, self._transport))
