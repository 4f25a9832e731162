"""The socket and the connections of the gRPC listener, which are grpcio's."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`address` as grpcio writes it (`host:port`, `[::1]:port`, `unix:/path`). Sizes are bytes."""

    address: str
    max_message: int
    max_metadata: int
    max_connections: int


@dataclass(frozen=True, slots=True)
class Pems:
    """A certificate with its key (PEM), and the authorities that a caller's must come from; empty: it needs none."""

    cert: bytes
    key: bytes = field(repr=False)
    client_ca: bytes = b""


def options_of(settings: ServerSettings) -> list[tuple[str, Any]]:
    """Server arguments, each with its reason."""
    return [
        ("grpc.so_reuseport", 0),  # else a second sidecar takes half of the calls, and nobody is told
        ("grpc.max_receive_message_length", settings.max_message),
        ("grpc.max_send_message_length", settings.max_message),
        # Equal: between the two C-core would refuse at random.
        ("grpc.max_metadata_size", settings.max_metadata),
        ("grpc.absolute_max_metadata_size", settings.max_metadata),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        # Callers are near. Else a window grows to some MB a stream, which is memory where the upstream is slower.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http.tarpit", 0),  # callers whose metadata or message is too long would hear so 0.1 to 1 s later
        # Clients that ping every 10 s would be sent away by default.
        ("grpc.http2.min_ping_interval_without_data_ms", 5000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


class GrpcServer:
    """A listening gRPC server. `pems`: with TLS; another certificate may come later, not whether there is one."""

    def __init__(
        self, settings: ServerSettings, handlers: Sequence[grpc.GenericRpcHandler], pems: Pems | None = None
    ) -> None:
        self._settings = settings
        self._pems = pems
        self._told = pems
        self._server = grpc.aio.server(options=options_of(settings))
        self._server.add_generic_rpc_handlers(tuple(handlers))
        self.address = ""
        """Where it really listens."""

    async def start(self) -> None:
        """Bind and begin. Raises `OSError` for an address or certificate that cannot be used."""
        settings = self._settings
        try:
            if self._pems is not None:
                credentials = grpc.dynamic_ssl_server_credentials(
                    _configuration(self._pems),
                    self._renewed,  # type: ignore[arg-type]  # None means "as before", which its types do not know
                    bool(self._pems.client_ca),
                )
                port = self._server.add_secure_port(settings.address, credentials)
            else:
                port = self._server.add_insecure_port(settings.address)
        except RuntimeError as error:
            raise OSError(errno.EADDRINUSE, str(error)) from error
        host = settings.address.rpartition(":")[0]
        self.address = settings.address if settings.address.startswith("unix:") else f"{host}:{port}"
        await self._server.start()

    def renew(self, pems: Pems | None) -> None:
        """Callers that connect from now on see this certificate."""
        if self._pems is not None and pems is not None:
            self._pems = pems

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Another certificate since the last handshake, else None (called by C-core, from its threads)."""
        if self._pems is None or self._pems == self._told:
            return None
        self._told = self._pems
        return _configuration(self._told)

    async def stop(self, grace: float | None) -> None:
        """Take no more calls; those under way have `grace` seconds, None for none."""
        await self._server.stop(grace)


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.cert)], pems.client_ca or None)
