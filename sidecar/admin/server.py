"""Serves an admin or probe app on sockets that are bound already."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.admin.connection import Connection
from sidecar.settings.address import address_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from sidecar.settings.address import Address

GRACE = 1.0
"""Seconds that answers under way have when the listener stops."""

BACKLOG = 128
"""Connections that wait to be accepted."""


class AdminServer:
    """An open listener; `address` is where it really listens (port 0 is resolved)."""

    def __init__(
        self, runner: web.AppRunner, bound: Sequence[asyncio.Server], place: Address, tls: ssl.SSLContext | None = None
    ) -> None:
        self._runner = runner
        self._bound = bound
        self._tls = tls
        self._place = place
        self.address = str(place)
        if tls is not None:
            tls.sni_callback = self._greet

    def renew(self, tls: ssl.SSLContext | None) -> None:
        """Callers that connect from now on see this one's certificate; whether there is TLS stays."""
        if self._tls is not None and tls is not None:
            self._tls = tls

    def _greet(self, caller: ssl.SSLObject, _name: str | None, _bound: ssl.SSLContext) -> None:
        """Called at each handshake, also of a caller that names no host. (The bound context keeps its certificate: half
        of another one loaded into it would be in use at once.)
        """
        if self._tls is not None:
            caller.context = self._tls

    async def aclose(self) -> None:
        """Stop accepting, end event streams, give answers under way a moment."""
        for each in self._bound:
            each.close()
        _unlink(self._place)
        await self._runner.cleanup()


async def _unsigned(_: web.Request, response: web.StreamResponse) -> None:
    """Which versions of Python and aiohttp this is tells only somebody who looks for a weak one (RFC 9110, 10.2.4)."""
    response.headers.popall("Server", None)


async def serve(
    app: web.Application, sockets: Sequence[socket.socket], tls: ssl.SSLContext | None = None
) -> AdminServer:
    """Serve who comes there: all of one address, listening. They are closed with it, or when this fails."""
    place = address_of(sockets[0])
    app.on_response_prepare.append(_unsigned)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=GRACE)
    bound: list[asyncio.Server] = []
    try:
        await runner.setup()
        loop, server = asyncio.get_running_loop(), runner.server
        assert server is not None  # after `setup`

        def connection() -> Connection:
            """What the runner's own sites would make, but ours."""
            return Connection(server, loop=loop, access_log=None)  # type: ignore[arg-type] # None is for none, as above

        for each in sockets:
            create = loop.create_unix_server if each.family == socket.AF_UNIX else loop.create_server
            bound.append(await create(connection, sock=each, ssl=tls, backlog=BACKLOG))
    except BaseException:
        for each in sockets:
            each.close()
        _unlink(place)
        await runner.cleanup()
        raise
    return AdminServer(runner, bound, place, tls)


def _unlink(place: Address) -> None:
    if place.unix:
        with contextlib.suppress(OSError):
            Path(place.unix).unlink()
