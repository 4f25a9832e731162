"""Who may use the admin listener, and how a refusal looks.

- A foreign `Host` or, on a change, a foreign `Origin`: 403, as on the http listener.
- `/livez` and `/readyz` never need a token, nor do the dashboard's own files.
- With a token set, every change needs it as `Authorization: Bearer`; off loopback
  every read as well. 401 without one, 403 for a wrong one.
- With no token set, on loopback everybody on the machine may read and change: that
  is where the sidecar lives. Off loopback nobody may, but for the two probes: there
  is nobody who could be told apart (`/metrics` for a pod address is what the probe
  listener is for).
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from sidecar.access import host_allowed, origin_allowed
from sidecar.errors import (
    ConfigError,
    ForbiddenHost,
    ForbiddenOrigin,
    ForbiddenToken,
    InternalError,
    InvalidRequest,
    Refused,
)
from sidecar.ids import Ids, sane

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler, Middleware

    from sidecar.admin.view import Access, AdminView

log = logging.getLogger("sidecar.admin")

READS = frozenset({"GET", "HEAD"})
TOKENLESS = frozenset({"/livez", "/readyz"})


class TokenMissing(ForbiddenToken):
    """The admin token is asked for (RFC 9110, section 11.6.1)."""

    http_status = 401


class NotFound(Refused):
    """The path is known, and what it names is not there."""

    label = "not_found"
    http_status = 404
    type = "not_found"


def guarded(view: AdminView, tokenless: Callable[[web.Request], bool] = lambda _: False) -> Middleware:
    """Lets a request pass that may; raises `Refused`. `tokenless` says what everybody may read."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        free = request.path in TOKENLESS or (request.method in READS and tokenless(request))
        admit(view.access(), request, free=free)
        return await handler(request)

    return guard


def admit(access: Access, request: web.Request, *, free: bool = False) -> None:
    """Raises `Refused` for a request that may not pass. `free`: it needs no token."""
    headers = request.headers
    host = headers.get("Host", "").encode("utf-8", "surrogateescape")
    if access.check_host and not host_allowed(host, access.hosts):
        raise ForbiddenHost("this Host is not one of ours: add it to listen.hosts if it should be")
    change = request.method not in READS
    if (change or "Upgrade" in headers) and "Origin" in headers:
        origin = headers["Origin"].encode("utf-8", "surrogateescape")
        if not origin_allowed(origin, access.origins):
            raise ForbiddenOrigin("this Origin may not change anything: add it to listen.origins if it should")
    if (change or not access.loopback) and not free:
        _check_token(access.token, headers.get("Authorization", ""), needed=not access.loopback)


def _check_token(token: str, authorization: str, *, needed: bool) -> None:
    if not token:
        if needed:
            raise ForbiddenToken("off loopback nothing is shown or changed until admin.token is set")
        return
    scheme, _, sent = authorization.partition(" ")
    if scheme.lower() != "bearer" or not sent:
        raise TokenMissing("the admin token is needed: Authorization: Bearer …")
    # In constant time, so that the time of a refusal does not tell how much of it was right.
    if not hmac.compare_digest(sent.strip().encode("utf-8", "surrogateescape"), token.encode()):
        raise ForbiddenToken("this is not the admin token")


def refusing() -> Middleware:
    """Turns what handlers raise into the error object of every listener."""
    ids = Ids()

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            answer = refusal(refused)
            if isinstance(refused, TokenMissing):
                answer.headers["WWW-Authenticate"] = 'Bearer realm="sidecar"'
        except ConfigError as error:
            answer = _answer(422, "invalid_request_error", "invalid_config", str(error))
            answer.beside["mistakes"] = [asdict(mistake) for mistake in error.mistakes]
        except web.HTTPMethodNotAllowed as wrong:
            answer = _answer(405, "method_not_allowed", "no_route", f"{request.path} is not for {request.method}")
            answer.headers["Allow"] = wrong.headers["Allow"]
        except web.HTTPRequestEntityTooLarge:
            answer = _answer(413, "invalid_request_error", "body_too_large", "the body is too long for this listener")
        except web.HTTPNotFound:
            answer = _answer(404, "not_found", "no_route", f"nothing is at {request.path}")
        except web.RequestPayloadError:
            answer = refusal(InvalidRequest("the body cannot be read"))
        except ConnectionError:  # the other side left: aiohttp knows what to do
            raise
        except Exception:
            log.exception("a bug in the admin listener", extra={"fields": {"path": request.path}})
            answer = refusal(InternalError("an error of ours: see the log"))
        sent = request.headers.get("X-Correlation-ID") or request.headers.get("X-Request-ID") or ""
        return answer.to(sane(sent.encode("utf-8", "surrogateescape")) or ids.new())

    return refuse


@dataclass(slots=True)
class _Refusal:
    """The error object of the contract, and what stands beside it."""

    status: int
    error: dict[str, str]
    headers: dict[str, str] = field(default_factory=dict)
    beside: dict[str, object] = field(default_factory=dict)

    def to(self, correlation_id: str, kind: type[web.Response] = web.Response) -> web.Response:
        document = {"error": {**self.error, "correlation_id": correlation_id}, **self.beside}
        headers = {**self.headers, "Content-Type": "application/json", "X-Correlation-ID": correlation_id}
        return kind(body=orjson.dumps(document), status=self.status, headers=headers)


def refusal(refused: Refused) -> _Refusal:
    return _answer(refused.http_status, refused.type, refused.label, refused.message)


def _answer(status: int, kind: str, code: str, message: str) -> _Refusal:
    return _Refusal(status, {"type": kind, "message": message, "code": code})
