"""The probe listener, for kubelet and Prometheus on a pod address.

Three paths, never a token, nothing to change, and any `Host`: a probe comes from
the network by design and learns no more than that we live and how busy we are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.admin import answers
from sidecar.admin.api import respond
from sidecar.admin.auth import refusing

if TYPE_CHECKING:
    from sidecar.admin.view import AdminView


def probe_app(view: AdminView) -> web.Application:
    """`/livez`, `/readyz` and `/metrics`."""

    async def livez(_: web.Request) -> web.Response:
        return respond(answers.livez())

    async def readyz(_: web.Request) -> web.Response:
        return respond(answers.readyz(view))

    async def metrics(request: web.Request) -> web.Response:
        return respond(answers.metrics(view, request.headers.get("Accept", "")))

    app = web.Application(middlewares=[refusing()], client_max_size=1)
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app
