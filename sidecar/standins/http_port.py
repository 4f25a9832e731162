"""A port that aiohttp serves: closed like that of a service that has died, and opened again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.standins import raw
from sidecar.standins.kept_port import KeptPort

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class HttpPort:
    """What stands on such a port. Of port 0 the first opening takes a free one, which it keeps."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._server: web.Server | None = None
        self._socket: asyncio.Server | None = None
        self._kept = KeptPort()

    @property
    def url(self) -> str:
        """Where it answers; known once it is open."""
        return f"http://{self.host}:{self.port}"

    async def _open(self, serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        """Serve requests by `serve`, which is cancelled when its caller leaves."""
        if self._server is None:
            self._server = web.Server(_quiet(serve), access_log=None, handler_cancellation=True)
        if self._socket is None:
            self._kept.give_up()
            self._socket = await asyncio.get_running_loop().create_server(self._server, self.host, self.port)
            self.port = self._socket.sockets[0].getsockname()[1]

    def _close(self) -> None:
        """New connections are refused, and all that there are end at once."""
        if self._socket is not None and self._server is not None:
            self._socket.close()
            self._socket = None
            self._kept.keep(self.host, self.port)
            for connection in self._server.connections:
                connection.force_close()

    async def _shut(self) -> None:
        """The same for good, and wait until nothing is served any more."""
        self._close()
        self._kept.give_up()
        if self._server is not None:
            await self._server.shutdown(0)


def _quiet(
    serve: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """The same; a caller that has left when it is written to is no error, and aiohttp would log it with a traceback."""

    async def served(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await serve(request)
        except ConnectionError:
            return raw.gone()

    return served
