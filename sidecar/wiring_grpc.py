"""From an upstream's settings to its gRPC client: channels, credentials, metadata."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.dialects import beamline
from sidecar.http1.connect import tls_context
from sidecar.upstreams.grpc import Channel, ChannelSettings, GrpcUpstream
from sidecar.upstreams.grpc_metadata import MetadataWriter
from sidecar.upstreams.reflection import Reflection
from sidecar.wiring import credential_of, injects_secret, pairs, unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from sidecar.config.resolve import ResolvedUpstream

DEFAULT_PORTS = {"grpc": 80, "grpcs": 443}


def grpc_identity(upstream: ResolvedUpstream, max_message: int, max_metadata: int) -> Hashable:
    """What makes it the same client: a change of the breaker, say, does not close its channels."""
    own = upstream.settings
    return (
        upstream.urls, upstream.timeout.connect, upstream.timeout.idle, own.protocol, own.headers, own.default_headers,
        own.via, own.tls, own.keepalive, own.api_key, own.auth, max_message, max_metadata,
    )  # fmt: skip


def grpc_upstream(
    upstream: ResolvedUpstream,
    via: bytes,
    clock: Callable[[], float],
    *,
    max_message: int,
    max_metadata: int,
) -> GrpcUpstream:
    """The client of a grpc upstream. Raises `OSError` for certificates that cannot be read."""
    settings = upstream.settings
    keepalive = settings.keepalive
    if any(url.startswith("grpcs:") for url in upstream.urls):
        _check(upstream)
    channels = [
        Channel(
            ChannelSettings(
                target=_target(url),
                secure=url.startswith("grpcs:"),
                root=_pem(settings.tls.ca) or _system_roots(),
                cert=_pem(settings.tls.cert),
                key=_pem(settings.tls.key or settings.tls.cert),
                server_name=settings.tls.server_name,
                connect=upstream.timeout.connect,
                max_message=max_message,
                max_metadata=max_metadata,
                keepalive=(keepalive.time, keepalive.timeout) if keepalive is not None and keepalive.time else None,
            ),
            clock,
        )
        for url in upstream.urls
    ]
    # The Router fails on a decide that has one: it ends up in its answer's metadata, in a form that cannot be encoded.
    uncorrelated = frozenset({beamline.DECIDE} if settings.protocol == "router" else ())
    headers, defaults = pairs(settings.headers), pairs(settings.default_headers)
    credential = credential_of(upstream)
    own = () if credential is None else (credential,)
    writer = MetadataWriter((*headers, *own), defaults, via if settings.via else b"", uncorrelated)
    return GrpcUpstream(
        channels,
        writer,
        clock,
        private=injects_secret(upstream),
        idle=upstream.timeout.idle,
        reflection=Reflection(upstream.name, channels, writer.own) if settings.protocol == "grpc" else None,
    )


def _target(url: str) -> str:
    """The address as grpcio writes it."""
    if url.startswith("unix:"):
        return url
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or DEFAULT_PORTS[parts.scheme]}"


def _check(upstream: ResolvedUpstream) -> None:
    """Grpcio finds out at the first call that a file is no certificate; OpenSSL tells now."""
    tls = upstream.settings.tls
    try:
        tls_context(ca=tls.ca, cert=tls.cert, key=tls.key, verify=True)
    except OSError as error:  # an ssl.SSLError is one
        raise unusable(f"upstreams.{upstream.name}.tls", (tls.ca, tls.cert, tls.key), error) from error


def _pem(file: str) -> bytes:
    return Path(file).read_bytes() if file else b""


def _system_roots() -> bytes:
    """The system's authorities where they are one file, as for HTTP; else those that come with grpcio."""
    file = ssl.get_default_verify_paths().cafile
    return Path(file).read_bytes() if file else b""
