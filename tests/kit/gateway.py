r"""c-gateway's manners on a real socket, played by the test: one connection at a time, one read, then the answer.

async with gateway() as server:
    sending = sending_to(server.url, a_call())
    served = await server.next()
    assert served.request == b"GET / HTTP/1.1\r\n…"
    served.say(b"HTTP/1.1 200 OK\r\n…")
"""

from __future__ import annotations

import asyncio
import socket
import struct
import tomllib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.config.resolve import ResolvedUpstream, resolve
from sidecar.settings import Settings
from sidecar.wiring import HttpService, http_service
from tests.kit.caller import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sidecar.call import Reply

READ = 65_535


class ClientGoneError(AssertionError):
    """The client had gone before the answer was out: SIGPIPE ends the real one here."""


class Served:
    """A connection that has been accepted; `request` is what the one read brought, empty if the client just left."""

    def __init__(self, sock: socket.socket, request: bytes) -> None:
        self._sock = sock
        self.request = request

    def say(self, data: bytes) -> None:
        """One write."""
        if self.left():
            raise ClientGoneError
        self._sock.send(data)

    def left(self) -> bool:
        """The client has closed its side already."""
        try:
            return self._sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    async def leaves(self) -> None:
        """Wait until the client has closed its side; it must send nothing more."""
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.get_running_loop().sock_recv(self._sock, 1) == b""

    def close(self) -> None:
        self._sock.close()

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()


class Gateway:
    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._served: list[Served] = []
        self.port: int = listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def next(self) -> Served:
        """The next connection, and what one read brings of it."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            sock, _ = await loop.sock_accept(self._listener)
            sock.setblocking(False)
            served = Served(sock, b"")
            self._served.append(served)
            served.request = await loop.sock_recv(sock, READ)
        return served

    def nobody_came(self) -> bool:
        """No connection waits to be accepted."""
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return True
        sock.close()
        return False

    def close(self) -> None:
        self._listener.close()
        for served in self._served:
            served.close()


@asynccontextmanager
async def gateway() -> AsyncIterator[Gateway]:
    """IPv4 only, with a backlog of 16, as the real one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        listener.setblocking(False)
        server = Gateway(listener)
        try:
            yield server
        finally:
            server.close()
            for _ in range(3):  # what the other side does about it
                await asyncio.sleep(0.001)


def resolved(url: str, keys: str) -> ResolvedUpstream:
    """One upstream with these keys, and all that they leave open."""
    text = f'[upstreams.a]\nurl = "{url}"\n{keys}\n[routes.r]\nmatch = {{ path = "/*" }}\nchain = ["a"]\n'
    return resolve(Settings.model_validate(tomllib.loads(text))).upstreams["a"]


GATEWAY = 'protocol = "c-gateway"\ntimeout = { connect = "10m" }'
"""No test of its manners is about how long it takes to connect."""


def service_to(url: str, keys: str = GATEWAY) -> HttpService:
    """The client of one upstream, with these keys."""
    return http_service(resolved(url, keys), {}, b"1.1 sidecar-x", lambda: 0.0)


@dataclass
class OneAttempt:
    """The engine's side of one sending: tells whether the slot is held, as the engine would see it."""

    address: int = 0
    fresh: bool = False
    clock_started: int = 0
    kept: int = 0
    freed: int = 0
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    def sent(self) -> None:
        self.clock_started += 1

    def began(self, reply: Reply) -> None:
        raise AssertionError("no answer is held back here")

    async def resume(self, why: str) -> Reply | None:
        raise AssertionError("no stream is continued here")

    def keep_slot(self) -> Callable[[], None]:
        self.kept += 1
        return self._free

    @property
    def held(self) -> bool:
        """The slot is kept beyond the attempt."""
        return self.kept > self.freed

    async def until_free(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._freed.wait()
        assert (self.kept, self.freed) == (1, 1)

    def _free(self) -> None:
        self.freed += 1
        self._freed.set()
