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


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
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
