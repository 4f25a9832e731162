"""Accepts callers on one address, and stops for as long as there are too many.

The listening socket stays open: while accepting is paused, callers wait in its backlog.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.settings.address import address_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from sidecar.http1.connections import Connections
    from sidecar.settings.address import Address

log = logging.getLogger("sidecar")

BACKLOG = 1024

HANDSHAKE = 10.0
"""Seconds that a caller has for TLS to begin: it counts as a connection meanwhile. (asyncio's own: 60.)"""

TRY_AGAIN = 1.0
"""Seconds after which accepting is tried again when the system had no descriptor for it."""


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
    """Accepting on one address: `most` connections at once, those in their TLS handshake included; then callers wait.

    Each socket has a task that accepts one caller at a time, itself: asyncio's own servers
    accept many before they look up, and lose those that they accepted just before
    they are closed, as `loop.sock_accept` loses one.
    """

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
        self._name = str(address_of(sockets[0]))
        self._room = asyncio.Event()
        self._room.set()
        self._accepting: list[asyncio.Task[None]] = []
        self._coming: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it really listens; port 0 is resolved."""
        return self._name

    def start(self) -> None:
        self.count()
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            task = loop.create_task(self._accept(sock), name="accept")
            task.add_done_callback(partial(_close, sock))  # also when it ends before it began
            self._accepting.append(task)

    def count(self) -> None:
        """The connections that are open count for this acceptor, and for no other of theirs."""
        self._connections.on_change = self._count_changed
        self._count_changed()

    def follow(self, factory: Callable[[], asyncio.Protocol], most: int, tls: ssl.SSLContext | None) -> None:
        """Callers that come from now on are taken in like this."""
        self._factory, self._most, self._tls = factory, most, tls
        self._count_changed()

    def leave(self) -> None:
        """Stop accepting here since callers are accepted elsewhere. Who has connected so far is taken in, if there is
        room: they wait in the backlog, and the end of the socket would reset them.
        """
        for sock in self._sockets:
            while sock.fileno() >= 0 and self._room.is_set():
                try:
                    caller, _ = sock.accept()
                except ConnectionError:  # this one has left
                    continue
                except OSError:  # nobody waits any more
                    break
                caller.setblocking(False)
                self._take_in(caller)
        self.close()

    def close(self) -> None:
        """Stop accepting for good; open connections go on. A unix socket's file goes."""
        loop = asyncio.get_running_loop()
        for task, sock in zip(self._accepting, self._sockets, strict=True):
            if sock.fileno() >= 0:
                with contextlib.suppress(NotImplementedError):  # Windows' loop: its task closes the socket
                    loop.remove_reader(sock)
                    _close(sock)
            task.cancel()

    def _count_changed(self) -> None:
        if self._connections.count + len(self._coming) < self._most:
            self._room.set()
        else:
            self._room.clear()

    async def _accept(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room.wait()
            try:
                caller = await next_caller(loop, sock)
            except (ConnectionError, BlockingIOError):  # this caller has left before it was let in
                continue
            except OSError as error:  # out of descriptors, mostly
                log.warning("cannot accept callers, and tries again: %s", error)
                await asyncio.sleep(TRY_AGAIN)
                continue
            self._take_in(caller)

    def _take_in(self, caller: socket.socket) -> None:
        task = asyncio.get_running_loop().create_task(self._welcome(caller), name="welcome")
        task.add_done_callback(partial(let_go, caller))
        self._coming.add(task)
        self._count_changed()

    async def _welcome(self, caller: socket.socket) -> None:
        """Make a connection of it; with TLS that takes the caller's part in the handshake."""
        try:
            patience = HANDSHAKE if self._tls is not None else None
            await asyncio.get_running_loop().connect_accepted_socket(
                self._factory, caller, ssl=self._tls, ssl_handshake_timeout=patience
            )
        except OSError:
            caller.close()  # it left, or its handshake failed
        finally:
            self._coming.discard(asyncio.current_task())
            self._count_changed()


async def next_caller(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> socket.socket:
    """The next caller, none before the loop's next turn. It is accepted here, so that none is lost where this is
    cancelled. Raises what `accept` does.
    """
    came = loop.create_future()
    try:
        loop.add_reader(sock, _set, came)
    except NotImplementedError:  # Windows' loop
        return (await loop.sock_accept(sock))[0]
    try:
        await came
    finally:
        if sock.fileno() >= 0:
            loop.remove_reader(sock)
    caller, _ = sock.accept()
    caller.setblocking(False)
    return caller


def _set(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_result(None)


def let_go(caller: socket.socket, welcome: asyncio.Task[None]) -> None:
    """A task that is cancelled before it begins closes nothing."""
    if welcome.cancelled():
        caller.close()


def _close(sock: socket.socket, _ended: object = None) -> None:
    if sock.fileno() < 0:
        return
    name = sock.getsockname()
    sock.close()
    if isinstance(name, str) and name:
        with contextlib.suppress(OSError):
            Path(name).unlink()
