"""Every listener of the process: all open or none, moved by a reload, and closed in order.

A changed address opens the new socket first; then the old one takes nobody any
more, and who came in by it is served to the end. What cannot change under an open
socket counts from the next start, and is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.accepting import Acceptor, bind
from sidecar.config.listeners import LISTENERS, fixed
from sidecar.descriptors import fitting, raise_limit
from sidecar.doors import Door, Doors, GrpcDoor, pems_of, tls
from sidecar.settings import parse_address

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from sidecar.admin.server import AdminServer
    from sidecar.http1.connections import Connections
    from sidecar.listeners.grpc_health import Health
    from sidecar.listeners.grpc_server import Pems
    from sidecar.runtime import Runtime, Switch
    from sidecar.settings import Settings
    from sidecar.settings.address import Address
    from sidecar.surroundings import Surroundings
    from sidecar.view import View

log = logging.getLogger("sidecar")

_CLOSES = 1.0
"""Seconds at most until C-core has closed a server's socket: it does so in a thread of its own."""


@dataclass(frozen=True, slots=True)
class Open:
    """A door, and what it was made of: the address as in the file, and by their keys the values that an open socket
    keeps.
    """

    door: Door
    text: str
    fixed: dict[str, object]


@dataclass(slots=True)
class Move:
    """What another configuration does to the listeners, prepared: nothing but a bug can fail from here on."""

    settings: Settings
    most: int
    doors: dict[str, Open | None] = field(default_factory=dict)
    """Those that were opened, and None for those to be closed."""
    later: list[str] = field(default_factory=list)
    """Keys that count from the next start."""
    http_tls: ssl.SSLContext | None = None
    grpc_tls: Pems | None = None
    admin_tls: ssl.SSLContext | None = None


class Listening:
    """The open listeners. `connections` are those of the http one."""

    def __init__(self, around: Surroundings, connections: Connections, view: View, switch: Switch) -> None:
        self._view = view
        self._make = Doors(around, connections, view, switch)
        self._open: dict[str, Open] = {}
        self._limits = switch.runtime.settings.limits
        self._leaving: set[asyncio.Task[None]] = set()
        self._left: list[GrpcDoor] = []
        """At addresses that have changed, until their calls have ended."""
        self._on_rpcs: Callable[[], None] | None = None

    @property
    def health(self) -> Health:
        return self._make.health

    async def open(self, settings: Settings) -> None:
        """Bind every listener and begin. Raises `OSError` for an address or certificate that cannot be used."""
        most = most_connections(settings)
        for name in LISTENERS:
            if (made := await self._made(name, settings, most)) is not None:
                self._enter(name, made)

    async def prepare(self, settings: Settings) -> Move:
        """Open what another configuration wants open. Raises `OSError`: then nothing has changed."""
        listen = settings.listen
        # Renewed files go into what is open; that they can be used is found out here.
        move = Move(
            settings,
            most_connections(settings),
            http_tls=tls("http", listen.http_tls),
            grpc_tls=pems_of(listen.grpc_tls),
            admin_tls=tls("admin", listen.admin_tls),
        )
        try:
            for name in LISTENERS:
                await self._prepare(name, move)
        except BaseException:
            await self.forget(move)
            raise
        return move

    async def _prepare(self, name: str, move: Move) -> None:
        now, address = self._open.get(name), _address(move.settings, name)
        if address is None:
            if now is not None:
                move.doors[name] = None
        elif now is not None and now.text == getattr(move.settings.listen, name):
            to_be = fixed(name, move.settings, move.most)
            move.later += [key for key, value in to_be.items() if value != now.fixed[key]]
        elif self._collides(address):
            move.later.append(f"listen.{name}")
        else:
            await self._wanted(address)
            move.doors[name] = await self._made(name, move.settings, move.most)

    async def _made(self, name: str, settings: Settings, most: int) -> Open | None:
        address = _address(settings, name)
        if address is None:
            return None
        door = await self._make.open(name, address, settings, most)
        return Open(door, getattr(settings.listen, name), fixed(name, settings, most))

    async def forget(self, move: Move) -> None:
        """It is not to be: what was opened for it is closed."""
        for made in move.doors.values():
            if made is not None:
                await _close(made.door)
        for door in self._doors():
            if isinstance(door, Acceptor):
                door.count()  # the other one did

    def take(self, move: Move, runtime: Runtime) -> None:
        """Go on by the other configuration; what has been left ends by itself."""
        self._make.follow(runtime)
        self._limits = move.settings.limits
        for name, made in move.doors.items():
            if (old := self._open.pop(name, None)) is not None:
                self._leave(name, old.door, moved=made is not None)
            if made is not None:
                self._enter(name, made)
        for door in self._doors():
            self._follow(door, move)

    def _follow(self, door: Door, move: Move) -> None:
        settings = move.settings
        if isinstance(door, Acceptor):
            door.follow(self._make.connections_of(settings), move.most, move.http_tls)
        elif isinstance(door, GrpcDoor):
            door.rpc.metadata = self._make.metadata_of(settings)
            door.server.renew(move.grpc_tls)
        else:
            door.renew(move.admin_tls)

    @property
    def rpcs(self) -> int:
        """GRPC calls under way."""
        return sum(door.rpc.calls for door in self._rpc_doors())

    def on_rpcs(self, changed: Callable[[], None]) -> None:
        """Call it from now on whenever `rpcs` changes."""
        self._on_rpcs = changed
        for door in self._rpc_doors():
            door.rpc.on_change = changed

    def accept_no_more(self) -> None:
        """No new http connections; open ones go on."""
        for door in self._doors():
            if isinstance(door, Acceptor):
                door.close()

    async def end_rpcs(self, grace: float | None) -> None:
        """Send gRPC callers away (GOAWAY); calls under way have `grace` seconds, None for none."""
        await asyncio.gather(*(door.close(grace) for door in self._rpc_doors()))

    async def aclose(self) -> None:
        """Close all at once."""
        self.accept_no_more()
        await self.end_rpcs(None)
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        for door in self._doors():
            await _close(door)
        self._open.clear()

    def _doors(self) -> list[Door]:
        return [one.door for one in self._open.values()]

    def _rpc_doors(self) -> list[GrpcDoor]:
        return [*self._left, *(door for door in self._doors() if isinstance(door, GrpcDoor))]

    def _enter(self, name: str, made: Open) -> None:
        self._open[name] = made
        self._view.addresses[name] = made.door.address
        if isinstance(made.door, GrpcDoor):
            made.door.rpc.on_change = self._on_rpcs

    def _leave(self, name: str, door: Door, *, moved: bool) -> None:
        """Nobody is to come in by it any more. Open connections go on; gRPC's have as long as a drain."""
        del self._view.addresses[name]
        log.info("a listener was left", extra={"fields": {"listener": name, "address": door.address}})
        if isinstance(door, Acceptor):
            door.leave()
            return
        if isinstance(door, GrpcDoor):
            self._left.append(door)
        task = asyncio.get_running_loop().create_task(self._ended(door, moved), name=f"leaving {door.address}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _ended(self, door: GrpcDoor | AdminServer, moved: bool) -> None:
        if not isinstance(door, GrpcDoor):
            await door.aclose()
            return
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._limits.drain
        try:
            if moved:
                await self._forsaken(door, ends)
            await door.close(max(0.0, ends - loop.time()))
        finally:
            self._left.remove(door)

    async def _forsaken(self, door: GrpcDoor, ends: float) -> None:
        """Until no call has come or gone by it for `limits.linger`, or its address is wanted; at most until `ends`.

        C-core cancels calls that come in the moment in which a server stops: callers are given the time to go where it
        listens now.
        """
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()

        def called() -> None:
            nonlocal quiet_since
            quiet_since = loop.time()
            if self._on_rpcs is not None:
                self._on_rpcs()

        door.rpc.on_change = called
        while (left := min(quiet_since + self._limits.linger, ends) - loop.time()) > 0 and not door.wanted.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await door.wanted.wait()

    async def _wanted(self, address: Address) -> None:
        """An address that has been left and is still open is given up for another listener."""
        left = [door for door in self._left if address.collides(parse_address(door.address) or address)]
        for door in left:
            door.wanted.set()
        ends = asyncio.get_running_loop().time() + _CLOSES
        while left and not _free(address) and asyncio.get_running_loop().time() < ends:  # noqa: ASYNC110 - it is no event
            await asyncio.sleep(0.01)

    def _collides(self, address: Address) -> bool:
        """It cannot be bound while we listen where we do."""
        bound = (parse_address(door.address) for door in self._doors())
        return any(address.collides(other) for other in bound if other is not None)


def most_connections(settings: Settings) -> int:
    """Of each listener at once: what the file says, or fewer if there are not enough descriptors, with a log line."""
    listen, wanted = settings.listen, settings.limits.max_connections
    most = fitting(wanted, raise_limit(), http=bool(listen.http), grpc=bool(listen.grpc))
    if most < wanted:
        log.warning("max_connections is lowered to %d, to fit the file-descriptor limit", most)
    return most


def _free(address: Address) -> bool:
    try:
        for sock in bind(address):
            sock.close()
    except OSError:
        return False
    return True


def _address(settings: Settings, name: str) -> Address | None:
    return parse_address(getattr(settings.listen, name))


async def _close(door: Door) -> None:
    if isinstance(door, Acceptor):
        door.close()
    elif isinstance(door, GrpcDoor):
        await door.close(None)
    else:
        await door.aclose()
