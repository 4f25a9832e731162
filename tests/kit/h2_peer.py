r"""A peer that speaks HTTP/2 frame by frame, well or badly: the far end of a gRPC client, or of a gRPC server.

async with h2_listening() as upstream:
    peer = await upstream.accept()
    stream = await peer.request()
    assert await stream.message() == b"hi"
    stream.headers()
    stream.say(b"hello")
    stream.trailers("OK")

async with h2_connected(address) as caller:
    stream = caller.open("/p.S/M")
    stream.say(b"hi", end=True)
    await stream.ended()
    assert stream.field("grpc-status") == "0"
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError

from tests.kit.caller import PATIENCE
from tests.kit.closing import close
from tests.kit.peer import Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from h2.events import Event

Field = tuple[str, str]
OK_HEAD: tuple[Field, ...] = ((":status", "200"), ("content-type", "application/grpc"))


def framed(message: bytes, *, compressed: int = 0) -> bytes:
    """A message as gRPC frames it."""
    return struct.pack(">BI", compressed, len(message)) + message


class H2Stream:
    """One stream, from either side."""

    def __init__(self, peer: H2Peer, number: int) -> None:
        self._peer = peer
        self.number = number
        self.fields: list[Field] = []
        """All that came: head and trailers."""
        self.body = bytearray()
        self.received = 0
        """Bytes of messages that came."""
        self.over = False
        """The other side has ended its half."""
        self.reset_code: int | None = None
        self.changed = asyncio.Event()

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)

    async def message(self) -> bytes | None:
        """The next message, None when there is none left."""
        while True:
            if len(self.body) >= 5:
                size = int.from_bytes(self.body[1:5], "big")
                if len(self.body) >= 5 + size:
                    message = bytes(self.body[5 : 5 + size])
                    del self.body[: 5 + size]
                    return message
            if self.over:
                return None
            await self._change()

    async def head(self) -> list[Field]:
        """What came first."""
        while not self.fields and not self.over:
            await self._change()
        return self.fields

    async def ended(self) -> None:
        """Until the other side has ended it, well or not."""
        while not self.over:
            await self._change()

    async def was_reset(self) -> int:
        """With which code the other side reset it."""
        while self.reset_code is None:
            await self._change()
        return self.reset_code

    async def _change(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.changed.wait()
        self.changed.clear()

    # What is sent.

    def headers(self, *fields: Field, end: bool = False) -> None:
        """The head of a reply; without fields, a good one."""
        self._peer.h2.send_headers(self.number, fields or OK_HEAD, end_stream=end)
        self._peer.flush()

    def say(self, message: bytes, *, end: bool = False) -> None:
        """A message, which must fit what the other side allows."""
        self.raw(framed(message), end=end)

    def raw(self, data: bytes, *, end: bool = False) -> None:
        size = self._peer.h2.max_outbound_frame_size
        for at in range(0, len(data), size):
            self._peer.h2.send_data(self.number, data[at : at + size])
        if end:
            self._peer.h2.end_stream(self.number)
        self._peer.flush()

    async def say_all(self, message: bytes, *, end: bool = False) -> None:
        """A message of any size, as fast as the other side allows."""
        data = framed(message)
        while data:
            room = self._peer.h2.local_flow_control_window(self.number)
            if not room:
                await self._peer.window.wait()
                self._peer.window.clear()
                continue
            self.raw(data[:room])
            data = data[room:]
        if end:
            self.end()

    def end(self) -> None:
        self._peer.h2.end_stream(self.number)
        self._peer.flush()

    def trailers(self, code: str, text: str = "", *fields: Field) -> None:
        """The end of a reply."""
        status = grpc.StatusCode[code].value[0]
        told = (("grpc-status", str(status)), *((("grpc-message", text),) if text else ()), *fields)
        self._peer.h2.send_headers(self.number, told, end_stream=True)
        self._peer.flush()

    def reset(self, code: int) -> None:
        self._peer.h2.reset_stream(self.number, code)
        self._peer.flush()


class H2Peer:
    """One connection. `reading` switched off, it gives no room for more data, as one that does not read. Switched to
    `mute`, it sends nothing any more by itself, not even answers to pings, as one behind a cable that was cut.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client: bool) -> None:
        # Nothing that is sent is corrected: much of it is to be wrong.
        config = H2Configuration(
            client_side=client,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = H2Connection(config)
        self.reading = True
        self.mute = False
        self.ended = asyncio.Event()
        """The other side has closed the connection."""
        self.goaway: ConnectionTerminated | None = None
        self.window = asyncio.Event()
        self._tcp = Peer(reader, writer)
        self._streams: dict[int, H2Stream] = {}
        self._requests: asyncio.Queue[H2Stream] = asyncio.Queue()
        self.h2.initiate_connection()
        self.flush()
        self._task = asyncio.create_task(self._read(), name="h2 peer")

    async def request(self, *, patience: float | None = PATIENCE) -> H2Stream:
        """The next call."""
        async with asyncio.timeout(patience):
            return await self._requests.get()

    def open(self, path: str, *fields: Field, head: tuple[Field, ...] | None = None, end: bool = False) -> H2Stream:
        """Begin a call; `head` replaces what is sent before `fields`."""
        number = self.h2.get_next_available_stream_id()
        stream = self._streams[number] = H2Stream(self, number)
        usual = (
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "sidecar"),
            ("te", "trailers"), ("content-type", "application/grpc"),
        )  # fmt: skip
        self.h2.send_headers(number, (*(usual if head is None else head), *fields), end_stream=end)
        self.flush()
        return stream

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data and not self.mute:
            self._tcp.say(data)

    def write(self, data: bytes) -> None:
        """Bytes that are no frames of ours."""
        self._tcp.say(data)

    def send_goaway(self, last: int, code: int = 0, text: bytes = b"") -> None:
        """Go away, without an end: streams up to `last` may go on."""
        payload = struct.pack(">II", last, code) + text
        self._tcp.say(len(payload).to_bytes(3, "big") + b"\x07\x00" + bytes(4) + payload)

    def cut(self) -> None:
        """Reset the connection."""
        self._tcp.reset()

    def end(self) -> None:
        """Close the connection in an orderly way."""
        self._tcp.end()

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._tcp.writer.transport.abort()

    async def _read(self) -> None:
        try:
            while data := await self._tcp.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self._hear(event)
                self.flush()
        except (ConnectionError, ProtocolError):
            pass  # it is over, one way or another
        finally:
            self.ended.set()
            self.window.set()
            for stream in self._streams.values():
                stream.over = True
                stream.changed.set()

    def _hear(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.goaway = event
        elif isinstance(event, WindowUpdated):
            self.window.set()
        number = getattr(event, "stream_id", 0)
        if isinstance(event, RequestReceived):
            stream = self._streams[number] = H2Stream(self, number)
            told = {str(name): str(value) for name, value in event.headers or ()}
            if told[":path"].startswith("/grpc.reflection."):  # it has none, and that is no call of a test's
                stream.headers(*OK_HEAD, ("grpc-status", "12"), end=True)
                return
            self._requests.put_nowait(stream)
        elif number not in self._streams:
            return
        stream = self._streams[number]
        if isinstance(event, RequestReceived | ResponseReceived | TrailersReceived):
            stream.fields += [(str(name), str(value)) for name, value in event.headers or ()]
        elif isinstance(event, DataReceived):
            stream.body += event.data or b""
            stream.received += len(event.data or b"")
            if self.reading and event.flow_controlled_length:
                try:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, number)
                except StreamClosedError:
                    return
        elif isinstance(event, StreamReset):
            stream.reset_code = event.error_code
            stream.over = True
        elif isinstance(event, StreamEnded):
            stream.over = True
        stream.changed.set()


class H2Listening:
    """Accepts, and says no more than that it speaks HTTP/2."""

    def __init__(self) -> None:
        self.peers: list[H2Peer] = []
        self.address = ""
        self._accepted: asyncio.Queue[H2Peer] = asyncio.Queue()

    @property
    def url(self) -> str:
        return f"grpc://{self.address}"

    async def accept(self, *, patience: float | None = PATIENCE) -> H2Peer:
        """The next connection."""
        async with asyncio.timeout(patience):
            return await self._accepted.get()

    async def request(self) -> tuple[H2Peer, H2Stream]:
        """The next connection and its first call."""
        peer = await self.accept()
        return peer, await peer.request()

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = H2Peer(reader, writer, client=False)
        self.peers.append(peer)
        self._accepted.put_nowait(peer)


@asynccontextmanager
async def h2_listening() -> AsyncIterator[H2Listening]:
    """A listening peer on a free port."""
    listening = H2Listening()
    server = await asyncio.start_server(listening._on_connection, "127.0.0.1", 0)
    listening.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield listening
    finally:
        await close(server)
        for peer in listening.peers:
            await peer.aclose()


@asynccontextmanager
async def h2_connected(address: str) -> AsyncIterator[H2Peer]:
    """A connection to a server, `host:port`."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    peer = H2Peer(reader, writer, client=True)
    try:
        yield peer
    finally:
        await peer.aclose()
