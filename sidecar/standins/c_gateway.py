"""A stand-in c-gateway: its bytes, and everything that a proxy before it has to live with.

It serves one connection at a time: accept, one read, the answer, close. Whoever connects
and sends nothing stops it for all, health included. And it dies as the real one does:
the answer is two writes, nobody ignores SIGPIPE, so a caller that closed before its
answer came ends the whole process. Here that closes every socket and says so, until
`revive()`. The real one built with NATS is safe after its first decide; this one never.

    python -m sidecar.standins.c_gateway --port 8080 --control 8081 --mode router
    curl -d '{"kind": "backpressure", "lasts": 10}' localhost:8081/_fault

The order of one connection, which decides what a caller can do to it:

    accept → read → (fault: close, reset) → the Router's time → first write → second write → events → close
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import struct
import sys
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from sidecar.standins import c_gateway_wire as wire
from sidecar.standins.c_gateway_control import arguments, serve_until_stopped
from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from sidecar.standins.c_gateway_limits import Limits
from sidecar.standins.c_gateway_router import Mode
from sidecar.standins.c_gateway_routes import Routes, for_router
from sidecar.standins.kept_port import KeptPort
from sidecar.standins.raw import LINGER_ZERO
from sidecar.standins.switching import Switching

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

BACKLOG = 16
STREAMS = 64
CALLS_KEPT = 1000
TCP_INFO = getattr(socket, "TCP_INFO", None)
"""Linux tells how many connections wait to be accepted; elsewhere only the one that is served is counted."""
LOOK = 0.01
"""Seconds from look to look at who waits for a connection that is silent."""


class Killed(Exception):  # noqa: N818  (a signal, not an error)
    """SIGPIPE."""


class CGateway:
    """One gateway on one port of an IPv4 address.

    `calls` are the last thousand requests as they were read; `requests` counts them,
    `faulty` those that met a fault, `deaths` how often SIGPIPE came. `most_at_once` is
    the greatest number of connections that were there together: one served, the others
    waiting for it (streams are not counted).
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        mode: Mode = Mode.STUB,
        fault: GatewayFault = WELL,
        limits: Limits | None = None,
        auth_required: bool = False,
        dies_on_early_close: bool = True,
        clock: Callable[[], float] = time.time,
        say: Callable[[str], None] = print,
    ) -> None:
        self.host = host
        self.port = port
        self.mode = mode
        self.fault = fault
        self.limits = limits or Limits()
        self.auth_required = auth_required
        self.dies_on_early_close = dies_on_early_close
        self.calls: list[wire.Asked] = []
        self.requests = 0
        self.faulty = 0
        self.deaths = 0
        self.most_at_once = 0
        self.death = asyncio.Event()
        self._clock = clock
        self._say = say
        self._since_switch = 0
        self._process: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None
        self._kept = KeptPort()
        self._streams: dict[socket.socket, bytes] = {}
        self._routes = self._born()
        self._switching = Switching(self._become, WELL)

    @property
    def url(self) -> str:
        """Where it answers; known once it has started."""
        return f"http://{self.host}:{self.port}"

    @property
    def died(self) -> bool:
        """Whether SIGPIPE has ended it."""
        return self.death.is_set()

    @property
    def counters(self) -> dict[str, object]:
        """What its own metrics are made from."""
        return dataclasses.asdict(self._routes.counters)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> str:
        """Begin with the fault given. The URL; with a dead one the port is reserved, and then closed again."""
        self._open()
        await self.switch(self.fault)
        return self.url

    async def stop(self) -> None:
        """Close the port and every connection. A bug in the stand-in itself is raised here."""
        self._switching.forget()
        try:
            await self._close()
        finally:
            self._kept.give_up()

    async def switch(self, fault: GatewayFault) -> None:
        """Behave like this from the next request on; `lasts` seconds, if the fault has an end. The dead stay dead."""
        await self._switching.to(fault)

    async def revive(self) -> None:
        """Start a new process on the same port: it remembers nothing."""
        await self._close()
        self.death.clear()
        self._routes = self._born()
        await self._become(self.fault)

    def state(self) -> dict[str, object]:
        """What the control port tells."""
        return {
            "url": self.url,
            "mode": self.mode,
            "died": self.died,
            "deaths": self.deaths,
            "requests": self.requests,
            "faulty": self.faulty,
            "most_at_once": self.most_at_once,
            "fault": dataclasses.asdict(self.fault),
        }

    def _born(self) -> Routes:
        return Routes(self.mode, self.limits, self.auth_required, self._clock)

    async def _become(self, fault: GatewayFault) -> None:
        if fault.kind is GatewayKind.DEAD:
            await self._close()
        elif not self.died:
            self._open()
        self.fault = fault
        self._since_switch = 0

    def _open(self) -> None:
        if self._listener is not None:
            return
        self._kept.give_up()
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((self.host, self.port))
        listener.listen(BACKLOG)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._process = asyncio.create_task(self._serve(listener))

    async def _close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.cancel()
            await asyncio.wait({process})
            if not process.cancelled():
                process.result()
        self._drop()

    def _drop(self) -> None:
        """What the kernel does to a process's sockets when it ends."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._kept.keep(self.host, self.port)
        for connection in self._streams:
            connection.close()
        self._streams.clear()

    async def _serve(self, listener: socket.socket) -> None:
        try:
            while True:
                connection = await accepted(listener)
                try:
                    await self._connection(connection, listener)
                finally:
                    if connection not in self._streams:
                        connection.close()
                await asyncio.sleep(0)  # callers that never let it wait must not keep the control port waiting
        except Killed:
            self.deaths += 1
            self._say(f"c-gateway {self.url} died of SIGPIPE: a caller closed before its answer came")
            self.death.set()
        finally:
            self._drop()

    def _look_who_waits(self, listener: socket.socket) -> None:
        waiting = 0
        if TCP_INFO is not None:
            # `tcpi_unacked` of a listening socket is the length of its queue (tcp(7); struct tcp_info in linux/tcp.h).
            (waiting,) = struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 28), 24)
        self.most_at_once = max(self.most_at_once, 1 + waiting)

    def _watch(self, connection: socket.socket, listener: socket.socket) -> None:
        """Look, and go on looking, while it is there and silent."""
        loop = asyncio.get_running_loop()
        self._watching = loop.call_later(LOOK, self._watch, connection, listener)
        if not has_left(connection):
            self._look_who_waits(listener)

    async def _connection(self, connection: socket.socket, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._watch(connection, listener)
        try:
            raw = await loop.sock_recv(connection, wire.ONE_READ)
        except ConnectionResetError:
            raw = b""
        finally:
            self._watching.cancel()
        if not raw:
            return  # and who waits now may have come after it had left
        self._look_who_waits(listener)
        asked = wire.parse(raw)
        self.calls.append(asked)
        del self.calls[:-CALLS_KEPT]
        self.requests += 1
        fault = self._met(asked)
        if fault.kind is GatewayKind.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        if fault.kind not in {GatewayKind.RESET, GatewayKind.CLOSE}:
            answer = self._routes.answer(asked, fault)
            if answer.delay:
                await asyncio.sleep(answer.delay)
            self._look_who_waits(listener)
            await self._reply(connection, answer, fault.kind)

    def _met(self, asked: wire.Asked) -> GatewayFault:
        if self.fault.kind is GatewayKind.NONE or not for_router(asked):
            return WELL
        meets = self.fault.meets(self._since_switch)
        self._since_switch += 1
        self.faulty += meets
        return self.fault if meets else WELL

    async def _reply(self, connection: socket.socket, answer: wire.Answer, kind: GatewayKind) -> None:
        pieces = answer.pieces
        if kind in {GatewayKind.RESET_BODY, GatewayKind.SHORT}:
            head, end, body = b"".join(pieces).partition(b"\r\n\r\n")
            pieces = (head + end, body[: len(body) // 2])
            if kind is GatewayKind.RESET_BODY:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        for piece in pieces:
            await self._write(connection, piece)
        if answer.streams:
            if len(self._streams) < STREAMS:
                self._streams[connection] = answer.streams
            else:
                await self._write(connection, b":pool_full\n\n")
        if answer.event is not None:
            self._tell(*answer.event)

    def _tell(self, tenant: bytes, name: bytes, data: bytes) -> None:
        """An event to every stream of that tenant; one that has been reset is dropped, one that has left kills."""
        for connection in [one for one, whose in self._streams.items() if whose == tenant]:
            for piece in (b"event: %b\n" % name, b"data: ", data, b"\n\n"):
                if not self._wrote(connection, piece):
                    del self._streams[connection]
                    connection.close()
                    break

    def _wrote(self, connection: socket.socket, piece: bytes) -> bool:
        """Whether a stream took it, at once and perhaps only in part. Raises `Killed`."""
        try:
            connection.send(piece)
        except BrokenPipeError:
            self._signal()
            return False
        except (ConnectionResetError, BlockingIOError):
            return False
        return True

    async def _write(self, connection: socket.socket, piece: bytes) -> None:
        """All of it, if it takes for ever: nobody gives a slow reader a time limit. Raises `Killed`.

        After a caller's FIN the first write is answered with RST, and the second meets SIGPIPE. A caller
        that has only closed its own half hears everything.
        """
        try:
            await asyncio.get_running_loop().sock_sendall(connection, piece)
        except BrokenPipeError:
            self._signal()
        except ConnectionResetError:
            pass  # what a write returns is not looked at: the next one goes on

    def _signal(self) -> None:
        if self.dies_on_early_close:
            raise Killed


async def accepted(listener: socket.socket) -> socket.socket:
    """The next connection; none gets lost if this is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        with suppress(BlockingIOError):
            connection, _ = listener.accept()
            connection.setblocking(False)
            return connection
        ready = asyncio.Event()
        loop.add_reader(listener, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(listener)


def has_left(connection: socket.socket) -> bool:
    """Whether the caller has closed already, without a word."""
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def main() -> None:
    """`python -m sidecar.standins.c_gateway`."""
    asked = arguments()
    gateway = CGateway(
        asked.host,
        asked.port,
        mode=asked.mode,
        fault=asked.fault,
        limits=Limits(asked.decide, asked.messages, asked.registry, asked.window),
        auth_required=asked.auth_required,
        dies_on_early_close=not asked.immortal,
        say=partial(print, flush=True),
    )
    sys.exit(asyncio.run(serve_until_stopped(gateway, asked.control)))


if __name__ == "__main__":
    main()
