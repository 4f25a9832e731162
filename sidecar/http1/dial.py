"""From a name to a connected socket: addresses that are looked up again in time, and a race between them."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, Protocol

from sidecar.http1.failures import ConnectFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]
"""A family and what `connect` takes for it."""


class Lookup(Protocol):
    """What `loop.getaddrinfo` does."""

    async def __call__(self, host: str, port: int, *, type: int) -> list[Any]: ...  # noqa: A002  its name there


LIFETIME = 30.0
"""Seconds after which a name is looked up again: the system's resolver tells no TTL."""

PATIENCE = 0.25
"""Seconds a new connection waits for a name to be looked up again while old addresses are known."""

STAGGER = 0.25
"""Seconds between the attempts of a race (RFC 8305, section 5: Connection Attempt Delay)."""


class Name:
    """A host's addresses: looked up when first needed, again after 30 s, by one lookup at a time.

    While a later lookup fails or hangs, the old addresses stay in use. `hosts` are the present ones, None
    while nothing can vanish; `on_vanished` is called when one did. `until` (loop time) is when it is to be
    looked up again. `lookup` is `loop.getaddrinfo` unless another is given; `lifetime` is in seconds.
    """

    def __init__(self, host: str, port: int, *, lookup: Lookup | None = None, lifetime: float = LIFETIME) -> None:
        self._host = host
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._lookup_host: Lookup = lookup or self._loop.getaddrinfo
        self._lifetime = lifetime
        self._addresses: list[Address] = []
        self._lookup: asyncio.Task[None] | None = None
        self._why = ""
        self.until = 0.0
        self.hosts: frozenset[str] | None = None
        self.on_vanished: Callable[[], object] | None = None
        if (literal := _literal(host, port)) is not None:
            self._addresses = [literal]
            self.until = float("inf")

    def refresh(self) -> asyncio.Task[None]:
        """Look it up in the background."""
        if self._lookup is None:
            self._lookup = self._loop.create_task(self._resolve())
        return self._lookup

    async def addresses(self) -> list[Address]:
        """In the system's order of preference. Raises `ConnectFailed` when there is none."""
        if self._loop.time() >= self.until:
            await asyncio.wait({self.refresh()}, timeout=PATIENCE if self._addresses else None)
        if not self._addresses:
            raise ConnectFailed(f"{self._host} does not resolve: {self._why or 'no address'}")
        return self._addresses

    async def aclose(self) -> None:
        """Stop a lookup that is on its way."""
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.wait({self._lookup})

    async def _resolve(self) -> None:
        try:
            found = await self._lookup_host(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # a name that cannot be encoded is a UnicodeError
            self._why = reason(error)
            # Known addresses serve a little longer; with none, the next connection asks again at once.
            self.until = self._loop.time() + self._lifetime / 10 if self._addresses else 0.0
        else:
            before = self.hosts
            self._addresses = [(family, _sockaddr(address)) for family, _, _, _, address in found]
            self.hosts = frozenset(address[0] for _, address in self._addresses)
            self.until = self._loop.time() + self._lifetime
            if before is not None and not before <= self.hosts and self.on_vanished is not None:
                self.on_vanished()
        finally:
            self._lookup = None


def _literal(host: str, port: int) -> Address | None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return found[0][0], _sockaddr(found[0][4])


def _sockaddr(address: tuple[object, ...]) -> tuple[str, int] | tuple[str, int, int, int]:
    host, port, *rest = address
    if rest:
        return str(host), int(str(port)), int(str(rest[0])), int(str(rest[1]))
    return str(host), int(str(port))


async def dial(addresses: Sequence[Address]) -> socket.socket:
    """A socket connected to the first address that answers (happy eyeballs, RFC 8305).

    Families take turns; the next attempt starts when one has failed or 250 ms have passed, and the
    losers are closed. Raises `ConnectFailed` with every reason when none answers.
    """
    if len(addresses) == 1:
        try:
            return await _connect(addresses[0])
        except OSError as error:
            raise ConnectFailed(reason(error)) from error
    waiting = deque(_by_turns(addresses))
    running: set[asyncio.Task[socket.socket]] = set()
    reasons: dict[str, None] = {}
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.get_running_loop().create_task(_connect(waiting.popleft())))
            pause = STAGGER if waiting else None
            done, _ = await asyncio.wait(running, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                try:
                    return task.result()
                except OSError as error:
                    reasons[reason(error)] = None
    finally:
        await _call_off(running)
    raise ConnectFailed(", ".join(reasons))


async def _call_off(running: set[asyncio.Task[socket.socket]]) -> None:
    for task in running:
        task.cancel()
    for outcome in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(outcome, socket.socket):
            outcome.close()  # it had connected in the same turn of the loop


async def _connect(address: Address) -> socket.socket:
    family, sockaddr = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # A silent stream's dead connection is found, and middleboxes do not forget a live one.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _by_turns(addresses: Sequence[Address]) -> list[Address]:
    """The first family first, then by turns (RFC 8305, section 4)."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address is not None]


def reason(error: Exception) -> str:
    """One phrase for a log line."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    told = error.strerror if isinstance(error, OSError) else ""
    return (told or str(error) or type(error).__name__).splitlines()[0]
