r"""A real gRPC server that does what a test says, and what it was sent.

async with rpc_service(fail("UNAVAILABLE"), echo) as service:   # first call, every later one
    async with running(routed(service)) as sidecar:
        reply = await sidecar_channel(sidecar).unary_unary("/test.S/M")(b"hi")
    assert [seen.messages for seen in service.seen] == [[b"hi"], [b"hi"]]
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from tests.kit.running import Running

Pairs = tuple[tuple[str, str | bytes], ...]


@dataclass
class Seen:
    """One call as the server saw it."""

    method: str
    metadata: Pairs
    seconds_left: float | None
    messages: list[bytes] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nobody listens to the handler any more."""

    def field(self, name: str) -> str | bytes | None:
        return next((value for key, value in self.metadata if key == name), None)


class Talk:
    """The server's side of one call."""

    def __init__(self, seen: Seen, context: Any) -> None:
        self.seen = seen
        self.context = context

    async def take(self) -> bytes | None:
        """The next message of the caller, None at its end."""
        message = await self.context.read()
        if message is grpc.aio.EOF:
            return None
        self.seen.messages.append(message)
        return bytes(message)

    async def take_all(self) -> None:
        while await self.take() is not None:
            pass

    async def say(self, message: bytes) -> None:
        await self.context.write(message)

    async def end(self, code: str, text: str = "", trailers: Pairs = ()) -> None:
        await self.context.abort(grpc.StatusCode[code], text, trailers)


if TYPE_CHECKING:
    Behaviour = Callable[[Talk], Awaitable[None]]


async def echo(talk: Talk) -> None:
    """Each message back, then OK."""
    while (message := await talk.take()) is not None:
        await talk.say(message)


async def hang(talk: Talk) -> None:
    """Takes what comes, and never answers."""
    await talk.take_all()
    await asyncio.Event().wait()


def fail(code: str, text: str = "", trailers: Pairs = ()) -> Behaviour:
    """A status and nothing else, once all messages are there."""

    async def behaviour(talk: Talk) -> None:
        await talk.take_all()
        await talk.end(code, text, trailers)

    return behaviour


def says(*messages: bytes, then: str = "OK", initial: Pairs = (), trailers: Pairs = ()) -> Behaviour:
    """These messages, then that status."""

    async def behaviour(talk: Talk) -> None:
        if initial:
            await talk.context.send_initial_metadata(initial)
        for message in messages:
            await talk.say(message)
        await talk.take_all()
        if then != "OK":
            await talk.end(then, "it broke", trailers)
        talk.context.set_trailing_metadata(trailers)

    return behaviour


class RpcService(grpc.GenericRpcHandler):
    """Answers the n-th call with the n-th behaviour, and every further one with the last.

    It has no reflection, and what asks for it is no call of a test's.
    """

    def __init__(self, behaviours: Sequence[Behaviour]) -> None:
        self.behaviours = list(behaviours) or [echo]
        self.seen: list[Seen] = []
        self.target = ""
        self._came = asyncio.Event()

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        if method.startswith("/grpc.reflection."):
            return None

        async def handle(_: object, context: Any) -> None:
            seen = Seen(method, tuple(context.invocation_metadata()), context.time_remaining())
            behaviour = self.behaviours[min(len(self.seen), len(self.behaviours) - 1)]
            self.seen.append(seen)
            self._came.set()
            try:
                await behaviour(Talk(seen, context))
            except asyncio.CancelledError:
                seen.cancelled.set()
                raise
            except grpc.aio.AbortError:
                raise
            except grpc.aio.BaseError:  # it was reading or writing
                seen.cancelled.set()

        return grpc.stream_stream_rpc_method_handler(handle)

    async def call(self, number: int = 1) -> Seen:
        """The n-th call, now or when it comes."""
        async with asyncio.timeout(PATIENCE):
            while len(self.seen) < number:
                self._came.clear()
                await self._came.wait()
        return self.seen[number - 1]

    @property
    def url(self) -> str:
        return f"grpc://{self.target}"


@asynccontextmanager
async def rpc_service(*behaviours: Behaviour, port: int = 0, credentials: Any = None) -> AsyncIterator[RpcService]:
    """A server with these behaviours on a free port; it is stopped at the end, whatever is under way."""
    service = RpcService(behaviours)
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ]
    )
    server.add_generic_rpc_handlers((service,))
    address = f"127.0.0.1:{port}"
    bound = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    service.target = f"127.0.0.1:{bound}"
    await server.start()
    try:
        yield service
    finally:
        await server.stop(None)


def routed(*urls: str, upstream: str = "", route: str = "", more: str = "", pattern: str = "*") -> str:
    """A policy that takes gRPC on a free port: one route to upstreams `a`, `b`, … in order."""
    names = "abcdef"[: len(urls)]
    tables = "".join(
        f'[upstreams.{name}]\nprotocol = "grpc"\nurl = "{url}"\n{upstream}\n'
        for name, url in zip(names, urls, strict=True)
    )
    chain = ", ".join(f'"{name}"' for name in names)
    return f"""
[listen]
http = ""
admin = ""
grpc = "127.0.0.1:0"
[policies.default.retry]
backoff = "1ms"
{more}
{tables}
[routes.r]
match = {{ grpc = "{pattern}" }}
chain = [{chain}]
{route}
"""


@asynccontextmanager
async def channel_to(sidecar: Running, *options: tuple[str, Any]) -> AsyncIterator[grpc.aio.Channel]:
    """A caller's channel to a running sidecar."""
    async with grpc.aio.insecure_channel(sidecar.daemon.addresses["grpc"], [*options]) as channel:
        yield channel
