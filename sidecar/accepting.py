"""Accepts callers on one address, and stops for as long as there are too many.

The listening socket is ours and stays open: while accepting is paused, callers
wait in its backlog. The loop gets a duplicate, which pausing closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from sidecar.http1.connections import Connections
    from sidecar.settings.address import Address

BACKLOG = 1024


def bind(address: Address) -> list[socket.socket]:
    """Listening sockets: one, or for a host name one for each of its addresses. Raises `OSError`."""
    if address.unix:
        return [_bind_unix(address.unix)]
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=flags)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            bound.append(sock)
            if os.name == "posix":  # elsewhere it would let another process take the port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            port = bound[0].getsockname()[1] if len(bound) > 1 else where[1]
            sock.bind((where[0], port, *where[2:]))
            sock.listen(BACKLOG)
            sock.setblocking(False)
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind_unix(path: str) -> socket.socket:
    """A socket left behind by a process that died is replaced; one that answers is not."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _unlink_dead(path)
        sock.bind(path)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _unlink_dead(path: str) -> None:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        Path(path).unlink(missing_ok=True)
        return
    raise OSError(errno.EADDRINUSE, "is in use", path)


class Acceptor:
    """Accepting on one address: `most` connections at once, then pause until fewer are open."""

    def __init__(
        self,
        sockets: list[socket.socket],
        factory: Callable[[], asyncio.Protocol],
        connections: Connections,
        *,
        most: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._sockets = sockets
        self._factory = factory
        self._connections = connections
        self._most = most
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._opening: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def address(self) -> str:
        """Where it really listens; port 0 is resolved."""
        name = self._sockets[0].getsockname()
        if isinstance(name, str):
            return f"unix:{name}"
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        self._connections.on_change = self._count_changed
        await self._open()

    def close(self) -> None:
        """Stop accepting for good; open connections go on. A unix socket's file goes."""
        if self._closed:
            return
        self._closed = True
        self._pause()
        for sock in self._sockets:
            name = sock.getsockname()
            sock.close()
            if isinstance(name, str) and name:
                with contextlib.suppress(OSError):
                    Path(name).unlink()

    def _count_changed(self) -> None:
        if self._connections.count >= self._most:
            self._pause()
        elif not self._servers and not self._closed and self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open(), name="accept again")

    def _pause(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(self._factory, sock=sock.dup(), ssl=self._tls, backlog=BACKLOG)
            for sock in self._sockets
        ]
        self._servers = servers
        self._opening = None
        if self._closed or self._connections.count >= self._most:
            self._pause()
