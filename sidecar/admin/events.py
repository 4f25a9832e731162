"""`GET /events` and `GET /live`: server-sent events, until the listener leaves, may listen no more, or we stop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.admin.auth import admit
from sidecar.errors import ForbiddenOrigin, Overloaded, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """The open event streams of one listener. `listen` gives a place, or None when too many listen already; who takes
    nothing for `stalled` seconds is cut, None for never.
    """

    def __init__(
        self,
        view: AdminView,
        listen: Callable[[], Listening | None],
        quiet: float = QUIET,
        stalled: float | None = None,
    ) -> None:
        self._view = view
        self._listen = listen
        self._quiet = quiet
        self._stalled = stalled
        self._open: set[Listening] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if _from_another_page(request):
            raise ForbiddenOrigin("a page from elsewhere may not hold a stream open")
        listening = self._listen()
        if listening is None:
            raise Overloaded("too many listen to events already")
        self._open.add(listening)
        try:
            response = web.StreamResponse(headers=HEADERS)
            with contextlib.suppress(ConnectionResetError):  # the listener left
                await response.prepare(request)
                await response.write(b": listening\n\n")
                while (frames := await self._next(listening)) and self._may(request):
                    await self._write(response, frames, request)
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

    def _may(self, request: web.Request) -> bool:
        """The token, or who may come at all, may have changed since the stream began: a reload is an event, too."""
        try:
            admit(self._view.access(), request)
        except Refused:
            return False
        return True

    async def _write(self, response: web.StreamResponse, frames: bytes, request: web.Request) -> None:
        try:
            async with asyncio.timeout(self._stalled):
                await response.write(frames)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from None

    async def end(self, _: web.Application) -> None:
        """The admin listener stops: streams end at once instead of holding it."""
        for listening in self._open:
            listening.close()


def _from_another_page(request: web.Request) -> bool:
    """A page that is not ours cannot read a stream, but it could hold all places. Browsers say whose it is, and a page
    cannot (W3C Fetch Metadata, section 2.3). A person who types the address is nobody's page.
    """
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
