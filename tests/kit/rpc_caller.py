"""A gRPC caller: what it was told, whole, whatever the kind of the call."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from tests.kit.caller import PATIENCE
from tests.kit.rpc import channel_to, routed, rpc_service
from tests.kit.running import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.kit.rpc import Behaviour, Pairs, RpcService
    from tests.kit.running import Running

METHOD = "/p.S/M"
OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)
"""For a channel that shall not share one with another to the same address."""


@dataclass
class Told:
    """A finished call, as the caller saw it."""

    messages: list[bytes]
    code: str
    text: str
    initial: Pairs
    trailers: Pairs

    def field(self, name: str) -> str | bytes | None:
        """Of the metadata before or behind the messages."""
        return next((value for key, value in (*self.initial, *self.trailers) if key == name), None)

    def own(self, pairs: Pairs) -> Pairs:
        """Without what every sidecar adds."""
        return tuple(pair for pair in pairs if not pair[0].startswith(("x-sidecar-", "x-request-id", "x-correlation")))

    @property
    def attempts(self) -> str | bytes | None:
        return self.field("x-sidecar-attempts")

    @property
    def short(self) -> tuple[str, list[bytes]]:
        return self.code, self.messages


async def told(rpc: Any) -> Told:
    """What is still to come of a call that is under way."""
    messages = []
    try:
        while (message := await rpc.read()) is not grpc.aio.EOF:
            messages.append(message)
    except grpc.aio.AioRpcError:
        pass  # the status says it
    code, text = await rpc.code(), await rpc.details()
    return Told(
        messages, code.name, text or "", _pairs(await rpc.initial_metadata()), _pairs(await rpc.trailing_metadata())
    )


async def ask(
    channel: grpc.aio.Channel,
    *messages: bytes,
    method: str = METHOD,
    metadata: Pairs = (),
    seconds: float | None = PATIENCE,
    compression: grpc.Compression | None = None,
) -> Told:
    """Send these messages and half-close; the rest is told. `seconds` are the call's `grpc-timeout`, too.

    Not by `write`: grpcio's own puts INTERNAL in the place of a status that comes while it sends.
    """
    rpc = opened(channel, method, metadata=metadata, timeout=seconds, compression=compression)
    try:
        await rpc.wait_for_connection()
        for message in messages:
            await rpc._cython_call.send_serialized_message(message)
        await rpc.done_writing()
    except (grpc.aio.AioRpcError, grpc.aio.BaseError):
        pass  # the status was faster
    return await told(rpc)


async def ask_unary(
    channel: grpc.aio.Channel,
    message: bytes = b"hi",
    *,
    method: str = METHOD,
    metadata: Pairs = (),
    seconds: float | None = PATIENCE,
) -> Told:
    """A unary call by a unary client."""
    rpc = opened_unary(channel, message, method, metadata=metadata, timeout=seconds)
    try:
        messages = [await rpc]
    except grpc.aio.AioRpcError:
        messages = []
    code, text = await rpc.code(), await rpc.details()
    return Told(
        messages, code.name, text or "", _pairs(await rpc.initial_metadata()), _pairs(await rpc.trailing_metadata())
    )


async def closed(address: str) -> None:
    """Until nobody can connect there any more.

    C-core closes its door in a thread of its own. A call that comes meanwhile is nobody's: mostly it is cancelled, now
    and then it hangs until its deadline.
    """
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(ConnectionResetError):  # it stood in line when the door was closed
                try:
                    _, writer = await asyncio.open_connection(host, int(port))
                except ConnectionRefusedError:
                    return
                writer.close()
                await writer.wait_closed()


def opened(channel: grpc.aio.Channel, method: str = METHOD, **how: Any) -> Any:
    """A call of any kind, begun."""
    return channel.stream_stream(method)(**how)


def opened_unary(channel: grpc.aio.Channel, message: bytes = b"hi", method: str = METHOD, **how: Any) -> Any:
    """A unary call by a unary client, begun."""
    unary: Any = channel.unary_unary(method)
    return unary(message, **how)


def _pairs(metadata: Any) -> Pairs:
    return tuple((name, value) for name, value in metadata or ())


@dataclass(frozen=True)
class Relay:
    """A server, a sidecar that routes to it, and a caller's channel."""

    service: RpcService
    sidecar: Running
    channel: grpc.aio.Channel


@asynccontextmanager
async def relayed(
    *behaviours: Behaviour, options: Sequence[tuple[str, Any]] = (), **policy: str
) -> AsyncIterator[Relay]:
    """The three of them. `policy` is for `routed()`."""
    async with (
        rpc_service(*behaviours) as service,
        running(routed(service.url, **policy)) as sidecar,
        channel_to(sidecar, *options) as channel,
    ):
        yield Relay(service, sidecar, channel)
