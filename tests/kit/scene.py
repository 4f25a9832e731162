"""An admin listener that plays: the dashboard's own files, and a `/live` that says what a test writes.

What it says has the shape that `GET /live` has; other tests in tests/wire/test_page_*.py hold the page against a
whole sidecar.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from sidecar.admin import page
from sidecar.admin.events import HEADERS as STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Json = dict[str, Any]

START = 1_790_000_000.0
"""When scenes begin, in Unix seconds."""


def state(**told: Any) -> Json:
    """A sidecar without routes, unless told otherwise."""
    return {
        "version": "1.2.3", "generation": 1, "hash": "ab" * 32, "file": "/etc/sidecar/sidecar.toml",
        "started": START - 7200, "now": START, "token": False, "draining": False,
        "listeners": {"http": "127.0.0.1:7070", "admin": "127.0.0.1:7072"}, "log_level": "info",
        "routes": [], "models": [], "upstreams": [], "reload": None, **told,
    }  # fmt: skip


def numbers(calls: int = 0, **told: Any) -> Json:
    """What a pulse tells of a route."""
    times = dict.fromkeys(("p50", "p95", "p99", "ttfb_p50", "ttfb_p95"))
    counted = {"errors": 0, "refused": 0, "retries": 0, "fallbacks": 0, "inflight": 0}
    return {"calls": calls, **counted, **times, "serving": {}, **told}


def pulse(at: float = START, **told: Any) -> Json:
    """A second in which nothing happened, unless told otherwise; of all routes together that is their sum."""
    routes: dict[str, Json] = told.get("routes", {})
    total = numbers()
    for name in ("calls", "errors", "refused", "retries", "fallbacks", "inflight"):
        total[name] = sum(one[name] for one in routes.values())
    return {
        "at": at, "seconds": 1.0, "health": {"status": "healthy", "checks": {}}, "routes": routes, "total": total,
        "targets": {}, "breakers": {}, "limits": {}, "upstreams": {}, "calls": [], "more_calls": 0, **told,
    }  # fmt: skip


def route(name: str, *chain: str, **told: Any) -> Json:
    """A route as `state` tells it."""
    return {"name": name, "match": {"path": f"/{name}/*"}, "chain": [*chain], "weights": None, "limit": None, **told}


def call(number: int, at: float, **told: Any) -> Json:
    """A finished call as `pulse` tells it."""
    return {
        "id": f"call-{number}", "at": at, "protocol": "http", "method": "GET", "path": f"/shop/{number}",
        "route": "shop", "upstream": "shop", "attempts": 1, "status": 200, "outcome": "ok", "seconds": 0.021,
        "ttfb": 0.012, **told,
    }  # fmt: skip


@dataclass
class Scene:
    """What is said to a page that listens: first `said`, then whatever `say` is told."""

    said: list[tuple[str, Json]] = field(default_factory=list)
    timelines: dict[str, Json] = field(default_factory=dict)
    url: str = ""
    closed: bool = False
    """Whether `/live` answers 503."""
    _lines: set[asyncio.Queue[bytes | None]] = field(default_factory=set)

    def say(self, name: str, what: Json) -> None:
        """One event for all who listen now."""
        for line in self._lines:
            line.put_nowait(frame(name, what))

    def cut(self) -> None:
        """All lines break."""
        for line in self._lines:
            line.put_nowait(None)

    async def live(self, request: web.Request) -> web.StreamResponse:
        if self.closed:
            return web.json_response({"error": {"message": "away", "code": "overloaded"}}, status=503)
        line: asyncio.Queue[bytes | None] = asyncio.Queue()
        response = web.StreamResponse(headers=STREAM)
        await response.prepare(request)
        await response.write(b"".join(frame(name, what) for name, what in self.said))
        self._lines.add(line)
        try:
            while (piece := await line.get()) is not None:
                await response.write(piece)
        finally:
            self._lines.discard(line)
        return response

    async def requests(self, _: web.Request) -> web.Response:
        return web.json_response({"requests": []})

    async def timeline(self, request: web.Request) -> web.Response:
        found = self.timelines.get(request.match_info["id"])
        if found is None:
            return web.json_response({"error": {"message": "no such call", "code": "not_found"}}, status=404)
        return web.json_response(found)


def frame(name: str, what: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(what))


@asynccontextmanager
async def playing(scene: Scene) -> AsyncIterator[Scene]:
    """The scene at its `url`."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/", page.index),
            web.get(page.UNDER + "{name:.+}", page.static),
            web.get("/live", scene.live),
            web.get("/requests", scene.requests),
            web.get("/requests/{id:.+}", scene.timeline),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        scene.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        yield scene
        scene.cut()
    finally:
        await runner.cleanup()
