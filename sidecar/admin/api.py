"""The admin listener's paths: state as JSON, and the few things that may be changed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import orjson
from aiohttp import web

from sidecar.admin import answers, page
from sidecar.admin.auth import NotFound, guarded, refusing
from sidecar.admin.describing import read_description
from sidecar.admin.events import QUIET, EventStream
from sidecar.errors import DeadlineExceeded, InvalidRequest
from sidecar.settings.values import SettingError, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from sidecar.admin.view import AdminView, Json

LONGEST_BODY = 64 << 10
LONGEST_WAIT = 300.0
"""Seconds that `GET /config?wait=…` may last."""

STALLED = 10.0
"""Seconds after which who listens to `/live` and takes nothing is cut: a page that does not read is asleep."""

INDEX = {
    "service": "sidecar",
    "read": [
        "/", "/livez", "/readyz", "/health", "/metrics", "/circuit-breakers", "/routes", "/upstreams", "/models",
        "/rate-limits", "/listeners", "/config", "/requests", "/requests/{id}", "/events", "/live", "POST /explain",
    ],
    "change": [
        "POST /circuit-breakers/{name}/open", "POST /circuit-breakers/{name}/reset", "POST /reload",
        "POST /log-level",
    ],
}  # fmt: skip


def admin_app(view: AdminView, *, quiet: float = QUIET, stalled: float = STALLED) -> web.Application:
    """The admin listener; `quiet` is how long (seconds) an event stream stays without a comment, `stalled` how long one
    that listens to `/live` may take nothing.
    """
    app = web.Application(middlewares=[refusing(), guarded(view, page.tokenless)], client_max_size=LONGEST_BODY)
    api = _Api(view)
    events = EventStream(view, view.events.listen, quiet)
    live = EventStream(view, view.listen, quiet, stalled=stalled)
    app.on_shutdown.extend((events.end, live.end))
    app.add_routes(
        [
            web.get("/", api.index),
            web.get(page.UNDER + "{name:.+}", page.static),
            web.get("/livez", api.livez),
            web.get("/readyz", api.readyz),
            web.get("/health", api.health),
            web.get("/metrics", api.metrics),
            web.get("/circuit-breakers", api.circuit_breakers),
            web.post("/circuit-breakers/{name:.+}/{move:open|reset|close}", api.move_breaker),
            web.get("/routes", api.routes),
            web.get("/upstreams", api.told(view.upstreams)),
            web.get("/models", api.told(view.models)),
            web.get("/rate-limits", api.told(view.rate_limits)),
            web.get("/listeners", api.told(view.listeners)),
            web.get("/config", api.config),
            web.get("/requests", api.requests),
            web.get("/requests/{id:.+}", api.timeline),
            web.get("/events", events.handle, allow_head=False),
            web.get("/live", live.handle, allow_head=False),
            web.post("/explain", api.explain),
            web.post("/reload", api.reload),
            web.post("/log-level", api.log_level),
        ]
    )
    return app


class _Api:
    """The handlers, around one view."""

    def __init__(self, view: AdminView) -> None:
        self._view = view

    async def index(self, request: web.Request) -> web.Response:
        """The paths for a program that asks for JSON, for everybody else the dashboard."""
        if not page.wants_json(request):
            return await page.index(request)
        answer = respond(answers.as_json({**INDEX, "version": self._view.version}))
        answer.headers["Vary"] = "Accept"
        return answer

    async def livez(self, _: web.Request) -> web.Response:
        return respond(answers.livez())

    async def readyz(self, _: web.Request) -> web.Response:
        return respond(answers.readyz(self._view))

    async def health(self, _: web.Request) -> web.Response:
        return respond(answers.health(self._view))

    async def metrics(self, request: web.Request) -> web.Response:
        return respond(answers.metrics(self._view, request.headers.get("Accept", "")))

    async def circuit_breakers(self, _: web.Request) -> web.Response:
        return respond(answers.circuit_breakers(self._view))

    def told(self, ask: Callable[[], Json]) -> Handler:
        """A handler that answers with what `ask` says."""

        async def handle(_: web.Request) -> web.Response:
            return respond(answers.as_json(ask()))

        return handle

    async def move_breaker(self, request: web.Request) -> web.Response:
        # From the path as it was sent: a name holds slashes and may hold percent signs.
        sent, _, move = request.rel_url.raw_path.removeprefix("/circuit-breakers/").rpartition("/")
        name = unquote(sent)
        act = self._view.open_breaker if move == "open" else self._view.reset_breaker
        try:
            return respond(answers.as_json(act(name)))
        except KeyError:
            raise NotFound(f"there is no circuit breaker {name!r}") from None

    async def config(self, request: web.Request) -> web.Response:
        if wanted := request.query.get("wait", ""):
            limit = _duration(request.query.get("timeout", "5s"))
            if not await self._view.wait_config(wanted, limit):
                raise DeadlineExceeded("the configuration of that hash is not live yet")
        return respond(answers.as_json(await self._view.config()))

    async def routes(self, _: web.Request) -> web.Response:
        return respond(answers.as_json(await self._view.routes()))

    async def requests(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "50")
        if not (limit.isascii() and limit.isdecimal() and len(limit) < 10):
            raise InvalidRequest("limit must be a number of calls")
        return respond(answers.as_json({"requests": self._view.newest_calls(int(limit))}))

    async def timeline(self, request: web.Request) -> web.Response:
        wanted = unquote(request.rel_url.raw_path.removeprefix("/requests/"))
        found = self._view.timeline(wanted)
        if found is None:
            raise NotFound(f"no call {wanted!r} among the last ones")
        return respond(answers.as_json(found))

    async def explain(self, request: web.Request) -> web.Response:
        asked = read_description(await request.read())
        return respond(answers.as_json(self._view.explain(*asked)))

    async def reload(self, _: web.Request) -> web.Response:
        return respond(answers.as_json(await self._view.reload()))

    async def log_level(self, request: web.Request) -> web.Response:
        try:
            asked = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            raise InvalidRequest("the body is not JSON") from None
        level = asked.get("level") if isinstance(asked, dict) else None
        if not isinstance(level, str):
            raise InvalidRequest('the body must be {"level": "…"}')
        try:
            self._view.set_log_level(level)
        except ValueError as wrong:
            raise InvalidRequest(str(wrong)) from None
        return respond(answers.as_json({"level": level}))


def respond(answer: answers.Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, "Cache-Control": "no-store"}
    return web.Response(status=answer.status, body=answer.body, headers=headers)


def _duration(text: str) -> float:
    """Seconds of `5s`, `250ms` or `5`."""
    try:
        seconds = float(text) if text.replace(".", "", 1).isdecimal() else parse_duration(text)
    except SettingError as wrong:
        raise InvalidRequest(f"timeout {wrong.problem}: {wrong.allowed}") from None
    return min(seconds, LONGEST_WAIT)
