"""Addresses that behave badly on purpose: names that move, ports that refuse, and one that says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port that answers nothing: the line of its listener is full, so that the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


_OUTSIDE = range(20_000, 32_000)
"""Ports that the kernel gives to nobody who asks for any: on Linux those begin at 32768, elsewhere at 49152."""
_BLOCK = 100


def _ports() -> Iterator[int]:
    """Each once, in blocks. A block belongs to the process that has bound its first port for UDP, until it ends."""
    for first in _OUTSIDE[::_BLOCK]:
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", first))
        except OSError:
            claim.close()
            continue
        claim.detach()  # nothing of ours closes it
        yield from range(first, first + _BLOCK)
    raise AssertionError("other tests have taken all ports")


_ports_of_this_process = _ports()


def free_port() -> int:
    """A port where nobody listens, and which nobody else is given: neither by the kernel nor by this function, here or
    in another process. A test may close what listens there, and be refused, and open it again.
    """
    while True:
        port = next(_ports_of_this_process)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


class FakeDns:
    """Answers as `loop.getaddrinfo` does, with what the test says, and counts how often it was asked."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.asked = 0
        self.hang = False

    async def __call__(self, host: str, port: int, *, type: int) -> list[Any]:  # noqa: A002  its name there
        self.asked += 1
        if self.hang:
            await asyncio.get_running_loop().create_future()
        if not self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, type, 6, "", (at, port, 0, 0)) if ":" in at else (socket.AF_INET, type, 6, "", (at, port))
            for at in self.hosts
        ]
