"""What each listener is made of: its socket, its certificate, and what serves those who come in.

Doors are made by the settings of the moment and then serve whatever runtime is
live: a reload makes another one only where an address has changed.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.accepting import Acceptor, bind
from sidecar.admin import answers
from sidecar.admin.api import admin_app
from sidecar.admin.probe import probe_app
from sidecar.admin.server import AdminServer, serve
from sidecar.body import ReplayMemory
from sidecar.errors import NoRoute
from sidecar.http1.server import ServerConnection, ServerLimits
from sidecar.ids import Ids
from sidecar.listeners.asked import Access
from sidecar.listeners.grpc import GrpcListener
from sidecar.listeners.grpc_health import Health, HealthHandler
from sidecar.listeners.grpc_server import GrpcServer, Pems, ServerSettings
from sidecar.listeners.http import HttpListener
from sidecar.listeners.metadata import ReplyMetadata
from sidecar.listeners.read_call import CallReader
from sidecar.listeners.read_metadata import MetadataReader
from sidecar.listeners.reply_head import ReplyHeads
from sidecar.view import allowed_hosts, allowed_origins
from sidecar.wiring import unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call
    from sidecar.http1.connections import Connections
    from sidecar.runtime import Runtime, Switch
    from sidecar.settings import Settings, TlsServerSettings
    from sidecar.settings.address import Address
    from sidecar.surroundings import Surroundings
    from sidecar.view import View

log = logging.getLogger("sidecar")


LETS_GO = 0.5
"""Seconds between two looks at what C-core still holds of a door that closes."""


class GrpcDoor:
    """A gRPC server and what answers its calls."""

    def __init__(self, server: GrpcServer, rpc: GrpcListener) -> None:
        self.server = server
        self.rpc = rpc
        self.address = server.address
        self.wanted = asyncio.Event()
        """Set when it has been left and another listener wants its address."""

    async def close(self, grace: float | None) -> None:
        """Take no more calls; those under way have `grace` seconds, None for none."""
        letting_go = asyncio.create_task(self._let_go(), name=f"letting go of {self.address}")
        try:
            await self.server.stop(grace)
        finally:
            letting_go.cancel()

    async def _let_go(self) -> None:
        """Have C-core end what it still holds when no call is under way.

        A call that comes in the moment of a stop may be laid where nobody takes it from any more, neither grpcio nor
        C-core itself: its caller would wait until its deadline, and the server for it. Two looks, since the first one
        may come before calls that stood in line have begun, on a machine that has paused.
        """
        idle = False
        while True:
            await asyncio.sleep(LETS_GO)
            if idle and self.rpc.unsent == 0:
                break
            idle = self.rpc.unsent == 0
        # Shielded: a cancellation would reach the future of grpcio's on which everybody waits who stops the server.
        await asyncio.shield(self.server.stop(None))


Door = Acceptor | GrpcDoor | AdminServer


class Doors:
    """Makes doors. All of one kind share what reads their calls, and the memory of kept bodies."""

    def __init__(self, around: Surroundings, connections: Connections, view: View, switch: Switch) -> None:
        self._around = around
        self._connections = connections
        self._view = view
        self._switch = switch
        settings = switch.runtime.settings
        access, ids, via = access_of(switch.runtime), Ids(), around.via
        self._memory = ReplayMemory(settings.limits.replay_total)
        self._reader = CallReader(access, ids, self._memory, via, around.clock)
        self._metadata = MetadataReader(access, ids, via, around.clock, max_headers=settings.limits.max_headers)
        self.health = Health()

    def follow(self, runtime: Runtime) -> None:
        """Who may call, and how much is kept, by another configuration."""
        limits = runtime.settings.limits
        self._reader.access = self._metadata.access = access_of(runtime)
        self._metadata.max_headers = limits.max_headers
        self._memory.total = limits.replay_total

    async def open(self, name: str, address: Address, settings: Settings, most: int) -> Door:
        """The door of that name, open. `most` connections at once. Raises `OSError` that names the key."""
        listen = settings.listen
        try:
            if name == "http":
                context = tls("http", listen.http_tls)
                acceptor = Acceptor(
                    bind(address), self.connections_of(settings), self._connections, most=most, tls=context
                )
                acceptor.start()
                return acceptor
            if name == "grpc":
                return await self._open_grpc(address, settings, most)
            if name == "admin":
                context = tls("admin", listen.admin_tls)
                return await serve(admin_app(self._view), bind(address), context)
            return await serve(probe_app(self._view), bind(address))
        except UnusableError:
            raise
        except OSError as error:
            raise _cannot_bind(f"listen.{name}", str(address), error) from error

    def connections_of(self, settings: Settings) -> Callable[[], ServerConnection]:
        """Makes the http listener's connections, as these settings have them."""
        limits, around, secure = settings.limits, self._around, settings.listen.http_tls is not None
        heads = ReplyHeads(around.clock, time.time, server_timing=settings.telemetry.server_timing)
        listener = HttpListener(
            self._reader, heads, self._switch.exchange, self._builtin(), crashed, around.telemetry.unreadable
        )
        server_limits = ServerLimits(
            max_headers=limits.max_headers,
            max_header_bytes=limits.max_header_bytes,
            header_timeout=limits.header_timeout,
            body_timeout=limits.body_timeout,
            keepalive=limits.keepalive,
        )

        def connection_crashed(error: BaseException) -> None:
            log.error("a connection failed", exc_info=error)

        return lambda: ServerConnection(
            listener.serve, server_limits, listener.refuse, self._connections, secure, crashed=connection_crashed
        )

    def metadata_of(self, settings: Settings) -> ReplyMetadata:
        return ReplyMetadata(self._around.clock, time.time, server_timing=settings.telemetry.server_timing)

    def _builtin(self) -> Callable[[Call], tuple[int, bytes, bytes] | None]:
        """The built-in paths, where no route matches them."""
        told, switch = answers.builtin(self._view), self._switch

        def builtin(call: Call) -> tuple[int, bytes, bytes] | None:
            try:
                switch.runtime.engine.table.match(call)
            except NoRoute:
                return told(call.path, call.fields.get(b"accept", b""))
            return None

        return builtin

    async def _open_grpc(self, address: Address, settings: Settings, most: int) -> GrpcDoor:
        rpc = GrpcListener(
            self._metadata,
            self.metadata_of(settings),
            self._switch.exchange,
            self._is_unary,
            self._memory,
            crashed,
            secure=settings.listen.grpc_tls is not None,
        )
        server = GrpcServer(
            grpc_settings(str(address), settings, most),
            (HealthHandler(self.health, rpc, self._into), rpc),
            pems_of(settings.listen.grpc_tls),
        )
        if address.port or address.unix:
            # grpcio does not say why it cannot bind, and takes a unix socket that is in use.
            for sock in bind(address):
                sock.close()
        await server.start()
        return GrpcDoor(server, rpc)

    def _is_unary(self, method: bytes) -> bool:
        """By the runtime of this moment, as a reload may bring another."""
        return self._switch.runtime.methods.is_unary(method)

    def _into(self, service: bytes) -> bytes:
        """The way to a service, by the runtime of this moment."""
        return self._switch.runtime.engine.table.into(service)


class UnusableError(OSError):
    """A certificate, not an address, is what cannot be used; the message names its key."""


def access_of(runtime: Runtime) -> Access:
    """Who may call, by this configuration."""
    listen = runtime.settings.listen
    return Access(
        hosts=allowed_hosts(runtime),
        origins=allowed_origins(runtime),
        token=listen.http_token.encode(),
        trusted=tuple(ipaddress.ip_network(network) for network in listen.trusted),
    )


def crashed(call: Call, error: BaseException) -> None:
    """A bug of ours: the log has all of it."""
    log.error("internal error", exc_info=error, extra={"fields": {"request_id": call.id, "route": call.route}})


def grpc_settings(address: str, settings: Settings, most: int) -> ServerSettings:
    """What grpcio is told when it binds, and cannot be told later."""
    limits = settings.limits
    return ServerSettings(
        address,
        max_message=limits.max_body_bytes or limits.max_held_bytes,
        max_metadata=limits.max_header_bytes,
        max_connections=most,
    )


def pems_of(settings: TlsServerSettings | None) -> Pems | None:
    """The gRPC listener's certificate. Raises `OSError`: grpcio would find a wrong file at the first handshake."""
    if settings is None:
        return None
    tls("grpc", settings)
    return Pems(_pem(settings.cert), _pem(settings.key), _pem(settings.client_ca))


def tls(listener: str, settings: TlsServerSettings | None) -> ssl.SSLContext | None:
    """TLS for a listener. Raises `OSError` that names the key, for files that cannot be used."""
    if settings is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.cert, settings.key)
        if settings.client_ca:
            context.load_verify_locations(settings.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # an ssl.SSLError is one
        files = (settings.cert, settings.key, settings.client_ca)
        raise UnusableError(*unusable(f"listen.{listener}_tls", files, error).args) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _pem(file: str) -> bytes:
    return Path(file).read_bytes() if file else b""


def _cannot_bind(key: str, text: str, error: OSError) -> OSError:
    """The same error, naming the key and the address: what a person needs to mend it."""
    # A name that is not found has a negative number, of getaddrinfo's, which strerror does not know.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    hint = " (is another sidecar running?)" if error.errno == errno.EADDRINUSE else ""
    return OSError(error.errno, f"{key}: cannot listen on {text}: {reason}{hint}")
