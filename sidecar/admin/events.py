"""`GET /events`: what happens, as server-sent events, until the listener leaves or we stop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.errors import Overloaded

if TYPE_CHECKING:
    from sidecar.admin.view import AdminView
    from sidecar.telemetry.events import Listening

QUIET = 15.0
"""Seconds without an event after which a comment is sent: proxies do not cut the line, and a dead one shows."""

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx in front would keep them back
}


class EventStream:
    """The open event streams of one listener."""

    def __init__(self, view: AdminView, quiet: float = QUIET) -> None:
        self._view = view
        self._quiet = quiet
        self._open: set[Listening] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        listening = self._view.events.listen()
        if listening is None:
            raise Overloaded("too many listen to events already")
        self._open.add(listening)
        try:
            response = web.StreamResponse(headers=HEADERS)
            with contextlib.suppress(ConnectionResetError):  # the listener left
                await response.prepare(request)
                await response.write(b": listening\n\n")
                while frames := await self._next(listening):
                    await response.write(frames)
            return response
        finally:
            self._open.discard(listening)
            listening.close()

    async def _next(self, listening: Listening) -> bytes:
        try:
            async with asyncio.timeout(self._quiet):
                return await listening.frames()
        except TimeoutError:
            return b": still here\n\n"

    async def end(self, _: web.Application) -> None:
        """The admin listener stops: streams end at once instead of holding it."""
        for listening in self._open:
            listening.close()
