"""An upstream that speaks gRPC: one channel for each of its addresses, messages passed as bytes.

A call known to be unary takes grpcio's `unary_unary`, which is one batch of
operations; any other takes `stream_stream`, which serves every kind. The proxy
knows no message type.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from sidecar.call import NO_DEADLINE, Facts, Reply, What
from sidecar.errors import UpstreamError
from sidecar.upstreams.grpc_metadata import pairs
from sidecar.upstreams.grpc_status import OK_FACTS, SENT_AWAY, facts_of, status_alone
from sidecar.upstreams.grpc_stream import StreamedCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidecar.call import Attempt, Call, Header, Headers
    from sidecar.upstreams.grpc_metadata import MetadataWriter
    from sidecar.upstreams.reflection import Reflection

MOST_METHODS = 1000
"""Methods kept ready for each address. Their names are the callers', and endless."""

LOOK, LOOKS = 0.002, 10
"""Seconds between two looks at whether a connection that sent a call away has gone, and how many there are."""

RENEWED_AFTER = 0.1
"""Seconds after which a channel that cannot connect is made anew for the next call."""

NEVER = (1 << 31) - 1
"""Milliseconds that C-core takes for no limit."""

TICK = 0.005
"""Seconds by which a channel's own clock may be early: its deadline is told in whole milliseconds."""


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How to connect. `target` as grpcio writes it: `host:port` or `unix:/path`. Seconds and bytes.

    `root`, `cert` and `key` are PEM; `root` empty: the authorities that come with grpcio.
    """

    target: str
    secure: bool = False
    root: bytes = b""
    cert: bytes = b""
    key: bytes = field(default=b"", repr=False)
    server_name: str = ""
    connect: float = 2.0
    max_message: int = 4 << 20
    max_metadata: int = 32 << 10
    keepalive: tuple[float, float] | None = None
    """Seconds from ping to ping, and for its answer."""


def options_of(settings: ChannelSettings) -> list[tuple[str, Any]]:
    """Channel arguments, each with its reason."""
    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0),  # the environment's proxy would be used even for localhost
        ("grpc.service_config_disable_resolution", 1),  # policies are ours, not those of a TXT record
        # C-core's own retries hide `grpc-previous-rpc-attempts` from the server, and cost 40 us a call.
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),  # a new channel does not inherit an old one's backoff
        # The time that one attempt to connect may take; else 20 s.
        ("grpc.min_reconnect_backoff_ms", max(int(settings.connect * 1000), 100)),
        # Else it grows to 2 minutes, and probes fail on a cached error after the server is back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
        ("grpc.max_receive_message_length", settings.max_message),
        ("grpc.max_send_message_length", settings.max_message),
        # Equal: between the two C-core would refuse at random.
        ("grpc.max_metadata_size", settings.max_metadata),
        ("grpc.absolute_max_metadata_size", settings.max_metadata),
    ]
    if settings.server_name:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
    if settings.keepalive is not None:
        ping, answer = settings.keepalive
        patience = int(answer * 1000) or NEVER
        options += [
            ("grpc.keepalive_time_ms", int(ping * 1000) or 1),
            ("grpc.keepalive_timeout_ms", patience),
            ("grpc.http2.ping_timeout_ms", patience),  # counts for these pings, too; else it is a minute
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return options


def channel_of(settings: ChannelSettings) -> grpc.aio.Channel:
    """A new channel. It connects with its first call."""
    options = options_of(settings)
    if not settings.secure:
        return grpc.aio.insecure_channel(settings.target, options)
    credentials = grpc.ssl_channel_credentials(settings.root or None, settings.key or None, settings.cert or None)
    return grpc.aio.secure_channel(settings.target, credentials, options)


class Channel:
    """One address: a channel and its methods, kept ready.

    A channel that cannot connect answers every call with its last error until its own pause is over, up
    to a second after the server is back: a breaker's probe would fail for nothing. So `begin` takes a new
    one, whose first call connects at once; but not while calls are under way, which a connection that the
    server lets end may still serve. `clock` is the loop's (seconds).
    """

    def __init__(self, settings: ChannelSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._made = clock()
        self._channel = channel_of(settings)
        self._closing: set[asyncio.Task[None]] = set()
        self._calls = 0
        self._retired = False
        self._unary: dict[bytes, Any] = {}
        self._stream: dict[bytes, Any] = {}

    def begin(self) -> bool:
        """Before a call, which `end` is told of: whether it is connected already."""
        state = self._channel.get_state()
        if state is not grpc.ChannelConnectivity.READY and not self._calls and self._worn(state):
            self._close_later()
            self._made = self._clock()
            self._channel = channel_of(self._settings)
            self._unary.clear()
            self._stream.clear()
        self._calls += 1
        return state is grpc.ChannelConnectivity.READY

    @property
    def ready(self) -> bool:
        """It is connected now."""
        return self._channel.get_state() is grpc.ChannelConnectivity.READY

    async def caught_up(self, detail: str) -> None:
        """C-core tells the end of a call that was sent away a moment before that of its connection, by which the two
        are known to belong together.
        """
        looks = LOOKS if detail.startswith(SENT_AWAY) else 0
        while looks and self.ready:
            await asyncio.sleep(LOOK)
            looks -= 1

    def end(self) -> None:
        """A call is over."""
        self._calls -= 1
        if self._retired and not self._calls:
            self._close_later()

    def _worn(self, state: grpc.ChannelConnectivity) -> bool:
        """It cannot connect, or it was retired and a call that began before that makes another attempt."""
        if state is grpc.ChannelConnectivity.SHUTDOWN:
            return True
        waited = self._clock() - self._made >= RENEWED_AFTER
        return state is grpc.ChannelConnectivity.TRANSIENT_FAILURE and waited

    def _close_later(self) -> None:
        task = asyncio.get_running_loop().create_task(self._channel.close(), name="close channel")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def unary(self, method: bytes) -> Any:
        return self._unary.get(method) or self._ready(self._unary, method, self._channel.unary_unary)

    def stream(self, method: bytes) -> Any:
        return self._stream.get(method) or self._ready(self._stream, method, self._channel.stream_stream)

    @property
    def state(self) -> str:
        return self._channel.get_state().name.lower()

    async def close(self) -> None:
        """Close it when its last call has ended, now if there is none."""
        self._retired = True
        if not self._calls:
            await self._channel.close()
        await asyncio.gather(*self._closing)

    def _ready(self, kept: dict[bytes, Any], method: bytes, make: Callable[[str], Any]) -> Any:
        if len(kept) >= MOST_METHODS:
            kept.clear()
        kept[method] = made = make(method.decode())  # which grpcio encodes again
        return made


@dataclass(slots=True)
class _Origin:
    """How it stood when an attempt began."""

    was_ready: bool
    fresh: bool


class GrpcUpstream:
    """Sends calls to one service. `clock` is the loop's (seconds). `private`: a credential of ours is sent.

    `idle` is the longest silence (seconds) between two messages of a streamed reply, 0 for any.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        metadata: MetadataWriter,
        clock: Callable[[], float],
        *,
        private: bool = False,
        idle: float = 0.0,
        reflection: Reflection | None = None,
    ) -> None:
        self._channels = tuple(channels)
        self._metadata = metadata
        self._clock = clock
        self.private = private
        self.reflection = reflection
        """What asks it for its methods, over the same channels; None for one whose methods are known."""
        self._idle = idle

    async def send(self, call: Call, attempt: Attempt) -> Reply:
        """Send once; returns with the message or status, of a stream at its first sign of life."""
        channel = self._channels[attempt.address]
        until = call.deadline if call.unary else call.rpc_deadline
        left = None
        if until != NO_DEADLINE:
            left = until - self._clock()
            if left <= 0:
                raise UpstreamError(self._too_late(call, "the deadline has passed"))
        metadata = self._metadata.write(call)
        origin = _Origin(was_ready=channel.begin(), fresh=attempt.fresh)
        if call.unary:
            try:
                return await self._unary(call, channel, metadata, left, origin)
            finally:
                channel.end()
        streamed = StreamedCall(
            channel.stream(call.target)(metadata=metadata, timeout=left),
            call,
            attempt,
            judge=lambda code, detail, trailers: self._facts(call, code, detail, trailers, channel, origin),
            caught_up=channel.caught_up,
            ended=channel.end,
            idle=self._idle,
        )
        return await streamed.begin()

    async def _unary(
        self, call: Call, channel: Channel, metadata: tuple[Header, ...], left: float | None, origin: _Origin
    ) -> Reply:
        rpc = channel.unary(call.target)(call.body.whole, metadata=metadata, timeout=left)
        try:
            message: bytes | None = await rpc
        except grpc.aio.AioRpcError as error:
            code, detail = error.code().name, error.details() or ""
            trailers = pairs(error.trailing_metadata() or ())
            await channel.caught_up(detail)
            facts = self._facts(call, code, detail, trailers, channel, origin)
            if facts.what is not What.REPLY:
                raise UpstreamError(facts) from error
            headers = pairs(error.initial_metadata() or ())
            return status_alone(code, detail, headers, trailers, facts)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # grpcio raises it by itself for a channel that was closed: nobody cancelled us.
            raise UpstreamError(Facts(What.RESET, detail="the channel was closed")) from None
        if message is None:  # grpcio says OK to it, and our caller would get an empty message that nobody sent
            raise UpstreamError(Facts(What.UNPARSEABLE, detail="OK without a message"))
        headers = pairs(await rpc.initial_metadata())
        reply = Reply(200, b"", headers, OK_FACTS, dict(headers), whole=message)
        reply.trailers = pairs(await rpc.trailing_metadata())
        reply.code = "OK"
        return reply

    def states(self) -> list[str]:
        """What each address's channel does now: `idle`, `connecting`, `ready`, `transient_failure`, `shutdown`."""
        return [channel.state for channel in self._channels]

    def _facts(self, call: Call, code: str, detail: str, trailers: Headers, channel: Channel, origin: _Origin) -> Facts:
        if code == "DEADLINE_EXCEEDED" and self._clock() + TICK >= call.caller_deadline:
            return self._too_late(call, detail)
        was, fresh = origin.was_ready, origin.fresh
        return facts_of(code, detail, trailers, was_ready=was, fresh=fresh, is_ready=channel.ready)

    def _too_late(self, call: Call, detail: str) -> Facts:
        late = self._clock() + TICK >= call.caller_deadline
        return Facts(What.CALLER_DEADLINE if late else What.TIMED_OUT, detail=detail)

    async def aclose(self) -> None:
        """Close the channels when their last calls have ended, now those that have none."""
        if self.reflection is not None:
            await self.reflection.aclose()
        for channel in self._channels:
            await channel.close()
