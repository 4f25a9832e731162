"""Where an upstream is, and how a connection to it is made: TCP or unix socket, TLS, through a proxy."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.http1.client import ClientConnection
from sidecar.http1.dial import Name, dial, reason
from sidecar.http1.failures import ConnectFailed, ExchangeFailed
from sidecar.http1.proxy import Proxy, proxy_from

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of an upstream, with what it takes to connect there.

    `path` is a unix socket's, else empty. `context` is set for https. `server_name` is what the
    certificate must be for, when it is not the host.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    context: ssl.SSLContext | None = None
    server_name: str = ""
    proxy: Proxy | None = None

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        context: ssl.SSLContext | None = None,
        server_name: str = "",
        proxy: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> Origin:
        """From `http://host:port`, `https://host` or `unix:/path`; a path behind the host is the caller's matter.

        An explicit `proxy` wins over the environment's, which is asked only if `environ` is given.
        For https without a `context`, the system's certificate authorities count. ValueError tells what is wrong.
        """
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return cls("http", "localhost", 80, path=parts.path)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"not an http, https or unix URL: {url.rpartition('@')[2]!r}")
        secure = parts.scheme == "https"
        host, port = parts.hostname, parts.port or (443 if secure else 80)
        chosen = Proxy.parse(proxy) if proxy else proxy_from(environ or {}, parts.scheme, host, port)
        if not secure:
            context = None
        elif context is None:
            context = tls_context()
        origin = cls(parts.scheme, host, port, "", context, server_name, chosen)
        _ = origin.authority  # a name that cannot be encoded is told now, not with the first request
        return origin

    @property
    def authority(self) -> bytes:
        """The value of `Host`: without the port where it is the scheme's own (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return (host if self.port == default else f"{host}:{self.port}").encode(
            "idna" if not host.isascii() else "ascii"
        )

    @property
    def absolute_form(self) -> bool:
        """The request target is a whole URL: plain http through a proxy (RFC 9112, section 3.2.2)."""
        return self.proxy is not None and self.scheme == "http"

    @property
    def proxy_authorization(self) -> bytes:
        """With `absolute_form`: the value of `Proxy-Authorization` for each request, or empty."""
        return self.proxy.authorization if self.proxy is not None and self.absolute_form else b""


def tls_context(*, ca: str = "", cert: str = "", key: str = "", verify: bool = True) -> ssl.SSLContext:
    """TLS for connections to upstreams, made once per upstream (it reads files).

    `ca`: a file of authorities to trust instead of the system's. `cert` and `key`: what we show. `verify = False`
    trusts anybody. Raises `OSError` or `ssl.SSLError` for files that cannot be used.
    """
    context = ssl.create_default_context(cafile=ca or None)
    if cert:
        context.load_cert_chain(cert, key or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


class Connector:
    """Makes connections to one origin. `lenient_length`: see `OneLength`. `name` stands in for the next hop's own,
    `proxy_context` for the system's authorities where the proxy itself speaks TLS.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        lenient_length: bool = False,
        name: Name | None = None,
        proxy_context: ssl.SSLContext | None = None,
    ) -> None:
        self.origin = origin
        self._lenient = lenient_length
        self._loop = asyncio.get_running_loop()
        if origin.proxy is not None and origin.proxy.secure and proxy_context is None:
            proxy_context = tls_context()
        self._proxy_context = proxy_context
        next_hop = origin.proxy or origin
        # A unix socket has nothing to look up.
        self.name = name or Name("127.0.0.1" if origin.path else next_hop.host, next_hop.port)
        self._where = origin.path or f"{next_hop.host}:{next_hop.port}"

    def still_valid(self, peer: object) -> bool:
        """Whether a connection to this address may be used again."""
        hosts = self.name.hosts
        return hosts is None or not isinstance(peer, tuple) or peer[0] in hosts

    async def aclose(self) -> None:
        """Stop a lookup that is on its way."""
        await self.name.aclose()

    async def connect(self, seconds: float) -> ClientConnection:
        """A new connection, ready to `send`; 0 seconds are any. Raises `ConnectFailed` with one line that says why."""
        try:
            async with asyncio.timeout(seconds or None):
                return await self._connect()
        except TimeoutError as error:
            raise ConnectFailed(f"{self._where}: no connection within {seconds:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise ConnectFailed(f"{self._where}: TLS: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise ConnectFailed(
                f"{self._where}: TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
            ) from error
        except OSError as error:
            raise ConnectFailed(f"{self._where}: {reason(error)}") from error
        except ExchangeFailed as error:
            raise ConnectFailed(f"{self._where}: {error.detail}") from error

    async def _connect(self) -> ClientConnection:
        origin = self.origin
        if origin.path:
            _, connection = await self._loop.create_unix_connection(self._new, origin.path)
            return connection
        proxy = origin.proxy
        sock = await dial(await self.name.addresses())
        context = origin.context if proxy is None else self._proxy_context
        name = origin.server_name or origin.host if proxy is None else proxy.host
        _, connection = await self._loop.create_connection(
            self._new, sock=sock, ssl=context, server_hostname=name if context is not None else None
        )
        if proxy is None or origin.context is None:
            return connection
        try:
            return await self._through(connection, proxy, origin.context)
        except BaseException:
            connection.close()
            raise

    async def _through(self, hop: ClientConnection, proxy: Proxy, context: ssl.SSLContext) -> ClientConnection:
        """Ask the proxy for a tunnel to the origin, and begin TLS in it (RFC 9110, section 9.3.6)."""
        host = f"[{self.origin.host}]" if ":" in self.origin.host else self.origin.host
        target = f"{host}:{self.origin.port}".encode()
        lines = [b"CONNECT %b HTTP/1.1" % target, b"Host: %b" % target]
        if proxy.authorization:
            lines.append(b"Proxy-Authorization: %b" % proxy.authorization)
        hop.send(b"\r\n".join(lines) + b"\r\n\r\n", head_only=True)
        head = await hop.head()
        if not 200 <= head.status < 300:
            raise ConnectFailed(
                f"the proxy answered CONNECT with {head.status} {head.reason.decode('latin-1')}".rstrip()
            )
        if hop.is_dead():
            raise ConnectFailed("the proxy closed the tunnel, or spoke before TLS began")
        transport, _ = hop.detach()
        connection = self._new()
        try:
            secured = await self._loop.start_tls(
                transport, connection, context, server_hostname=self.origin.server_name or self.origin.host
            )
        except BaseException:
            transport.abort()
            raise
        if secured is None:
            raise ConnectFailed("the proxy closed the tunnel")
        connection.connection_made(secured)
        return connection

    def _new(self) -> ClientConnection:
        return ClientConnection(self._loop, lenient_length=self._lenient)
