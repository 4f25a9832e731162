"""One connection to an admin or probe listener: what becomes of a request that reaches no handler.

aiohttp answers what it cannot parse past middlewares and signals: with its name
and version, and the bytes that it stumbled over. It writes these into the log,
too, with a traceback, and they may be a credential. So both are done here.
"""

from __future__ import annotations

import logging
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sidecar.admin.auth import refusal
from sidecar.errors import InternalError, InvalidRequest
from sidecar.ids import Ids

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.web_request import BaseRequest

log = logging.getLogger("sidecar.admin")

_ids = Ids()


class Connection(web.RequestHandler):
    """Refuses in the form of every other refusal, and tells nobody what was sent."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = InternalError.http_status,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it holds what was sent
    ) -> web.StreamResponse:
        """What cannot be parsed, and what got past all middlewares. Raises where it is too late for an answer."""
        if isinstance(exc, ConnectionError) or request.writer.output_size > 0:
            raise ConnectionResetError from exc
        if status < InternalError.http_status:
            log.debug("a request that cannot be parsed", extra={"fields": {"error": type(exc).__name__}})
            told = refusal(InvalidRequest("the request cannot be parsed"))
        else:
            log.error("a bug in the admin listener", exc_info=exc)
            told = refusal(InternalError("an error of ours: see the log"))
        return told.to(_ids.new(), _Last)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """A body that cannot be read is its sender's mistake."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)


class _Last(web.Response):
    """An answer that ends its connection, with a head of its own: `prepare` would sign it, and no signal comes here."""

    _writer: AbstractStreamWriter

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter:
        self.force_close()
        self._writer = request.writer
        self.headers.update(
            {"Content-Length": str(self.content_length), "Date": formatdate(usegmt=True), "Connection": "close"}
        )
        await self._writer.write_headers(f"HTTP/1.1 {self.status} {self.reason}", self.headers)
        return self._writer

    async def write_eof(self, data: bytes = b"") -> None:
        body = self.body
        await self._writer.write_eof(data or (body if isinstance(body, bytes) else b""))
