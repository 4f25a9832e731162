"""Binds an admin or probe app to its address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.admin.connection import Connection

if TYPE_CHECKING:
    import ssl

    from sidecar.settings.address import Address

GRACE = 1.0
"""Seconds that answers under way have when the listener stops."""

BACKLOG = 128
"""Connections that wait to be accepted."""


class AdminServer:
    """A bound listener; `address` is where it really listens (port 0 is resolved)."""

    def __init__(
        self, runner: web.AppRunner, bound: asyncio.Server, address: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._runner = runner
        self._bound = bound
        self._tls = tls
        self.address = address
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
        self._bound.close()
        await self._runner.cleanup()


async def _unsigned(_: web.Request, response: web.StreamResponse) -> None:
    """Which versions of Python and aiohttp this is tells only somebody who looks for a weak one (RFC 9110, 10.2.4)."""
    response.headers.popall("Server", None)


async def serve(app: web.Application, address: Address, tls: ssl.SSLContext | None = None) -> AdminServer:
    """Listen there. Raises `OSError` when the address cannot be bound."""
    app.on_response_prepare.append(_unsigned)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=GRACE)
    await runner.setup()
    loop, server = asyncio.get_running_loop(), runner.server
    assert server is not None  # after `setup`

    def connection() -> Connection:
        """What the runner's own sites would make, but ours."""
        return Connection(server, loop=loop, access_log=None)  # type: ignore[arg-type] # None is for none, as above

    try:
        if address.unix:
            bound = await loop.create_unix_server(connection, address.unix, ssl=tls, backlog=BACKLOG)
        else:
            bound = await loop.create_server(connection, address.host, address.port, ssl=tls, backlog=BACKLOG)
    except BaseException:
        await runner.cleanup()
        raise
    if address.unix:
        return AdminServer(runner, bound, str(address), tls)
    host, port = bound.sockets[0].getsockname()[:2]
    return AdminServer(runner, bound, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", tls)
