"""An upstream that answers each request with the next bytes of a script."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.kit.peer import Listening, Peer, listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CLOSE, RESET, SILENCE = b"<close>", b"<reset>", b"<silence>"
"""Instead of an answer: the connection ends in order, ends by a reset, or nothing happens."""


def reply(status: str = "200 OK", *fields: str, body: bytes = b"") -> bytes:
    """A reply's bytes with its Content-Length."""
    head = "\r\n".join((f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""))
    return head.encode("latin-1") + body


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Scripted:
    """`requests` are the heads that came, `bodies` what followed them (chunks with their framing)."""

    url: str
    script: list[bytes]
    requests: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def fields(self, number: int = -1) -> dict[str, str]:
        """The fields of a request, names in lower case; one that came twice is joined by a bar."""
        found: dict[str, str] = {}
        for line in self.requests[number].decode("latin-1").split("\r\n")[1:-2]:
            name, _, value = line.partition(": ")
            found[name.lower()] = f"{found[name.lower()]} | {value}" if name.lower() in found else value
        return found

    async def serve(self, listening: Listening) -> None:
        async with asyncio.TaskGroup() as connections:
            while True:
                connections.create_task(self._answer(await listening.accept()))

    async def _answer(self, peer: Peer) -> None:
        try:
            while True:
                head = await peer.request()
                self.requests.append(head)
                self.bodies.append(await _body(head, peer))
                said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if said == RESET:
                    peer.reset()
                elif said == CLOSE:
                    peer.end()
                elif said != SILENCE:
                    peer.say(said)
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the other side has closed


async def _body(head: bytes, peer: Peer) -> bytes:
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return await peer.reader.readuntil(b"0\r\n\r\n")
    _, found, rest = lower.partition(b"content-length: ")
    return await peer.receive(int(rest.partition(b"\r\n")[0])) if found else b""


@asynccontextmanager
async def scripted(*script: bytes) -> AsyncIterator[Scripted]:
    """Answers over all its connections in the order of the requests; the last answer stands for all that follow."""
    async with listening() as server:
        upstream = Scripted(server.url, list(script or (OK,)))
        task = asyncio.create_task(upstream.serve(server))
        try:
            yield upstream
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
