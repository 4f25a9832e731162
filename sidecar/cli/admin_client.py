"""The admin listener as commands ask it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from sidecar.cli.trouble import BAD_USAGE, NOT_WELL, Trouble
from sidecar.cli.web import Heard, Web

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Document = dict[str, Any]

USUAL = "http://127.0.0.1:7072"
FINE = frozenset({200})
_REFUSED = frozenset({400, 401, 403, 404, 422})


class Admin:
    """`url`: else `$SIDECAR_ADMIN` (as `sidecar exec` sets it), else `$SIDECAR_LISTEN_ADMIN`, else the usual port.

    `token`: else `$SIDECAR_ADMIN_TOKEN`. What the listener refuses is `Trouble` with its own words.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        address = url or environ.get("SIDECAR_ADMIN") or environ.get("SIDECAR_LISTEN_ADMIN") or USUAL
        token = token or environ.get("SIDECAR_ADMIN_TOKEN", "")
        self._web = Web(address, {"Authorization": f"Bearer {token}"} if token else {})

    @property
    def url(self) -> str:
        return self._web.url

    def get(self, path: str, fine: Collection[int] = FINE) -> Document:
        """The JSON that stands at `path`. `fine`: statuses that are an answer; others are `Trouble`."""
        return self._ask("GET", path, None, fine)

    def post(self, path: str, document: Document | None = None, fine: Collection[int] = FINE) -> Document:
        """Change something; what it says of it."""
        body = b"" if document is None else json.dumps(document).encode()
        return self._ask("POST", path, body, fine)

    def _ask(self, method: str, path: str, body: bytes | None, fine: Collection[int]) -> Document:
        try:
            heard = self._web.ask(method, path, body, {"Content-Type": "application/json"} if body else None)
        except Trouble as trouble:
            if trouble.code == NOT_WELL:
                raise Trouble(f"{trouble}. Is a sidecar running? --admin URL says where") from None
            raise
        try:
            document = json.loads(heard.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Trouble(f"{self.url}{path} answers {heard.status}, and no JSON: is it an admin listener?")
        if heard.status not in fine:
            raise Trouble(_said(heard, document), BAD_USAGE if heard.status in _REFUSED else NOT_WELL)
        return document


def _said(heard: Heard, document: Document) -> str:
    error = document.get("error")
    said = error.get("message") if isinstance(error, dict) else None
    hint = " (--token, or $SIDECAR_ADMIN_TOKEN)" if heard.status in {401, 403} else ""
    return f"{said or f'the answer is {heard.status}'}{hint}"
