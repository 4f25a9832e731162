"""What the built-in paths say: pure functions, for the admin, the probe and the http listener alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from sidecar.telemetry.lines import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidecar.admin.view import AdminView, Json

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

_now = Timestamp()


class Answer(NamedTuple):
    """A whole answer to a GET."""

    status: int
    content_type: str
    body: bytes


def as_json(document: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(status, JSON, orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS))


def livez() -> Answer:
    """The loop turns, or this would not be answered."""
    return Answer(200, TEXT, b"ok\n")


def readyz(view: AdminView) -> Answer:
    """503 while draining, and before the first configuration is live."""
    if view.draining:
        return Answer(503, TEXT, b"draining\n")
    if not view.configured:
        return Answer(503, TEXT, b"no configuration yet\n")
    return Answer(200, TEXT, b"ok\n")


def judged(view: AdminView) -> tuple[str, dict[str, str]]:
    """`healthy` or `degraded` while calls can be served, `unhealthy` when they cannot; and what was looked at."""
    checks = dict(view.checks())
    checks["process"] = "draining" if view.draining else "ok"
    checks["targets"] = "ok" if view.servable else "no target of any route can be tried"
    if view.draining or not view.servable:
        status = "unhealthy"
    elif any(said != "ok" for said in checks.values()):
        status = "degraded"
    else:
        status = "healthy"
    return status, checks


def health(view: AdminView) -> Answer:
    """200 while calls can be served, 503 when they cannot."""
    status, checks = judged(view)
    document: Json = {
        "status": status,
        "timestamp": _now(),
        "service": "sidecar",
        "version": view.version,
        "checks": checks,
    }
    return as_json(document, 503 if status == "unhealthy" else 200)


def metrics(view: AdminView, accept: str) -> Answer:
    content_type, text = view.metrics(accept)
    return Answer(200, content_type, text)


def circuit_breakers(view: AdminView) -> Answer:
    return as_json(view.circuit_breakers())


def builtin(view: AdminView) -> Callable[[bytes, bytes], tuple[int, bytes, bytes] | None]:
    """For the http listener, where no route matches a GET: path and `Accept` in, status, content type and body out.

    None: the path is not built in.
    """

    def answer(path: bytes, accept: bytes) -> tuple[int, bytes, bytes] | None:
        if path == b"/health":
            found = health(view)
        elif path == b"/metrics":
            found = metrics(view, accept.decode("latin-1"))
        elif path == b"/circuit-breakers":
            found = circuit_breakers(view)
        elif path == b"/livez":
            found = livez()
        elif path == b"/readyz":
            found = readyz(view)
        else:
            return None
        return found.status, found.content_type.encode(), found.body

    return answer
