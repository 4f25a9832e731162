"""Ends a server of asyncio's."""

from __future__ import annotations

import asyncio

TURNS = 4
"""Of the loop, from accepting a connection to the first step of what serves it."""


async def close(server: asyncio.Server) -> None:
    """Refuse who comes, and lose nobody who has come: all that was accepted is being served.

    `Server.close` by itself drops a connection that was accepted in the turn before it: its transport is never made
    whole, nobody closes it, and Python complains of that.
    """
    loop = server.get_loop()
    for sock in server.sockets:
        loop.remove_reader(sock.fileno())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    server.close()
