"""Every listener of the process: all open or none, and closed in order."""

from __future__ import annotations

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
from sidecar.descriptors import fitting, raise_limit
from sidecar.errors import NoRoute
from sidecar.http1.server import ServerConnection, ServerLimits
from sidecar.ids import Ids
from sidecar.listeners.asked import Access
from sidecar.listeners.grpc import GrpcListener
from sidecar.listeners.grpc_health import Health, HealthHandler
from sidecar.listeners.grpc_server import GrpcServer, ServerSettings
from sidecar.listeners.http import HttpListener
from sidecar.listeners.metadata import ReplyMetadata
from sidecar.listeners.read_call import CallReader
from sidecar.listeners.read_metadata import MetadataReader
from sidecar.listeners.reply_head import ReplyHeads
from sidecar.settings import parse_address
from sidecar.view import allowed_hosts, allowed_origins
from sidecar.wiring import unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.call import Call
    from sidecar.http1.connections import Connections
    from sidecar.runtime import Runtime, Switch
    from sidecar.settings import LimitsSettings, Settings, TlsServerSettings
    from sidecar.settings.address import Address
    from sidecar.surroundings import Surroundings
    from sidecar.view import View

log = logging.getLogger("sidecar")


class Listening:
    """The open listeners. `connections` are those of the http one."""

    def __init__(self, around: Surroundings, connections: Connections, view: View, switch: Switch) -> None:
        self._around = around
        self._connections = connections
        self._view = view
        self._switch = switch
        self._acceptor: Acceptor | None = None
        self._grpc: GrpcServer | None = None
        self._servers: list[AdminServer] = []
        access, ids, via = access_of(switch.runtime), Ids(), around.via
        memory = ReplayMemory(switch.runtime.settings.limits.replay_total)
        self._memory = memory
        self._reader = CallReader(access, ids, memory, via, around.clock)
        limits = switch.runtime.settings.limits
        self._metadata = MetadataReader(access, ids, via, around.clock, max_headers=limits.max_headers)
        self.health = Health()
        self._rpc: GrpcListener | None = None

    async def open(self, settings: Settings) -> None:
        """Bind every listener and begin. Raises `OSError` for an address or certificate that cannot be used."""
        listen = settings.listen
        http, grpc = parse_address(listen.http), parse_address(listen.grpc)
        wanted = settings.limits.max_connections
        most = fitting(wanted, raise_limit(), http=http is not None, grpc=grpc is not None)
        if most < wanted:
            log.warning("max_connections is lowered to %d, to fit the file-descriptor limit", most)
        if http is not None:
            self._open_http(http, settings, most)
        if grpc is not None:
            await self._open_grpc(grpc, settings, most)
        view = self._view
        apps = (
            ("admin", listen.admin, admin_app(view), listen.admin_tls),
            ("probe", listen.probe, probe_app(view), None),
        )
        for name, text, app, app_tls in apps:
            if (address := parse_address(text)) is None:
                continue
            app_context = _tls(name, app_tls)
            try:
                server = await serve(app, address, app_context)
            except OSError as error:
                raise _cannot_bind(f"listen.{name}", text, error) from error
            self._servers.append(server)
            view.addresses[name] = server.address

    @property
    def rpcs(self) -> int:
        """GRPC calls under way."""
        return 0 if self._rpc is None else self._rpc.calls

    def on_rpcs(self, changed: Callable[[], None]) -> None:
        """Call it from now on whenever `rpcs` changes."""
        if self._rpc is not None:
            self._rpc.on_change = changed

    def allow(self, runtime: Runtime) -> None:
        """Who may call, by another configuration."""
        self._reader.access = self._metadata.access = access_of(runtime)

    def accept_no_more(self) -> None:
        """No new http connections; open ones go on."""
        if self._acceptor is not None:
            self._acceptor.close()

    async def end_rpcs(self, grace: float | None) -> None:
        """Send gRPC callers away (GOAWAY); calls under way have `grace` seconds, None for none."""
        if self._grpc is not None:
            await self._grpc.stop(grace)

    async def aclose(self) -> None:
        self.accept_no_more()
        await self.end_rpcs(None)
        for server in self._servers:
            await server.aclose()
        self._servers.clear()

    def _open_http(self, address: Address, settings: Settings, most: int) -> None:
        listen, limits = settings.listen, settings.limits
        tls = _tls("http", listen.http_tls)
        try:
            sockets = bind(address)
        except OSError as error:
            raise _cannot_bind("listen.http", listen.http, error) from error
        factory = self._connection_factory(self._http_listener(settings), limits, secure=tls is not None)
        self._acceptor = Acceptor(sockets, factory, self._connections, most=most, tls=tls)
        self._acceptor.start()
        self._view.addresses["http"] = self._acceptor.address

    def _http_listener(self, settings: Settings) -> HttpListener:
        switch, around = self._switch, self._around
        heads = ReplyHeads(around.clock, time.time, server_timing=settings.telemetry.server_timing)
        told = answers.builtin(self._view)

        def builtin(call: Call) -> tuple[int, bytes, bytes] | None:
            try:
                switch.runtime.engine.table.match(call)
            except NoRoute:
                return told(call.path, call.fields.get(b"accept", b""))
            return None

        return HttpListener(self._reader, heads, switch.exchange, builtin, crashed, around.telemetry.unreadable)

    def _connection_factory(
        self, listener: HttpListener, limits: LimitsSettings, *, secure: bool
    ) -> Callable[[], ServerConnection]:
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

    def _is_unary(self, method: bytes) -> bool:
        """By the runtime of this moment, as a reload may bring another."""
        return self._switch.runtime.methods.is_unary(method)

    def _into(self, service: bytes) -> bytes:
        """The way to a service, by the runtime of this moment."""
        return self._switch.runtime.engine.table.into(service)

    async def _open_grpc(self, address: Address, settings: Settings, most: int) -> None:
        listen, limits, switch = settings.listen, settings.limits, self._switch
        tls = listen.grpc_tls
        _tls("grpc", tls)  # grpcio would find a wrong file at the first handshake
        rpc = self._rpc = GrpcListener(
            self._metadata,
            ReplyMetadata(self._around.clock, time.time, server_timing=settings.telemetry.server_timing),
            switch.exchange,
            self._is_unary,
            self._memory,
            crashed,
            secure=tls is not None,
        )
        server = GrpcServer(
            ServerSettings(
                str(address),
                max_message=limits.max_body_bytes or limits.max_held_bytes,
                max_metadata=limits.max_header_bytes,
                max_connections=most,
                cert=_pem(tls.cert) if tls else b"",
                key=_pem(tls.key or tls.cert) if tls else b"",
                client_ca=_pem(tls.client_ca) if tls else b"",
            ),
            (HealthHandler(self.health, rpc, self._into), rpc),
        )
        try:
            if address.port or address.unix:
                # grpcio does not say why it cannot bind, and takes a unix socket that is in use.
                for sock in bind(address):
                    sock.close()
            await server.start()
        except OSError as error:
            raise _cannot_bind("listen.grpc", listen.grpc, error) from error
        self._grpc = server
        self._view.addresses["grpc"] = server.address


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


def _pem(file: str) -> bytes:
    return Path(file).read_bytes() if file else b""


def _tls(listener: str, settings: TlsServerSettings | None) -> ssl.SSLContext | None:
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
        raise unusable(f"listen.{listener}_tls", (settings.cert, settings.key, settings.client_ca), error) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _cannot_bind(key: str, text: str, error: OSError) -> OSError:
    """The same error, naming the key and the address: what a person needs to mend it."""
    # A name that is not found has a negative number, of getaddrinfo's, which strerror does not know.
    number = error.errno or 0
    reason = os.strerror(number) if number > 0 else error.strerror or str(error)
    hint = " (is another sidecar running?)" if error.errno == errno.EADDRINUSE else ""
    return OSError(error.errno, f"{key}: cannot listen on {text}: {reason}{hint}")
