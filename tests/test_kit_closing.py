"""The kit's servers end without losing a connection, at whatever moment it comes."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from tests.kit.closing import TURNS, close


@pytest.mark.parametrize("turns", range(TURNS + 1))
async def test_who_comes_at_the_end_is_refused_or_served(turns: int) -> None:
    served: list[asyncio.StreamWriter] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as caller:
        for _ in range(turns):
            await asyncio.sleep(0)
        await close(server)
        for writer in served:
            writer.transport.abort()
        await asyncio.sleep(0)
        # Whichever it was, there is nobody on the other side any more; a connection that was lost is a warning.
        with contextlib.suppress(ConnectionResetError):
            assert caller.recv(1) == b""
