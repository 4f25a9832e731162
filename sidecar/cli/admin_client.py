"""The admin listener as commands ask it."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sidecar.cli.trouble import BAD_USAGE, NOT_WELL, Trouble
from sidecar.cli.web import PATIENCE, Web

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sidecar.cli.web import Heard

Document = dict[str, Any]

USUAL = "http://127.0.0.1:7072"
FINE = frozenset({200})
_REFUSED = frozenset({400, 401, 403, 404, 422})
_HINTS = {
    "forbidden_token": " (--token, or $SIDECAR_ADMIN_TOKEN)",
    "no_route": " (is {url} the admin listener, or another one of the sidecar's?)",
}
"""What helps with a refusal of that code."""


class Admin:
    """`url`: else `$SIDECAR_ADMIN` (as `sidecar exec` sets it), else `$SIDECAR_LISTEN_ADMIN`, else the usual port.

    `token`: else `$SIDECAR_ADMIN_TOKEN`. `timeout`: seconds of silence after which the listener is given up.
    What the listener refuses is `Trouble` with its own words (2; what it cannot do: 1).
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        environ: Mapping[str, str] = os.environ,
        *,
        timeout: float = PATIENCE,
    ) -> None:
        address = url or environ.get("SIDECAR_ADMIN") or environ.get("SIDECAR_LISTEN_ADMIN") or USUAL
        token = (token or environ.get("SIDECAR_ADMIN_TOKEN", "")).strip()  # a file's last line break is none of it
        self._web = Web(address, {"Authorization": f"Bearer {token}"} if token else {}, timeout=timeout)

    @property
    def url(self) -> str:
        return self._web.url

    def get(self, path: str, fine: Collection[int] = FINE) -> Document:
        """The JSON that stands at `path`. `fine`: statuses that are an answer; others are `Trouble`."""
        return self.ask("GET", path, fine=fine)[1]

    def post(self, path: str, document: Document | None = None, fine: Collection[int] = FINE) -> Document:
        """Change something; what it says of it."""
        return self.ask("POST", path, document, fine)[1]

    def find(self, method: str, path: str) -> Document | None:
        """What is told of something that may not be there: None when the listener knows the path and not the thing."""
        status, told = self.ask(method, path, fine={200, 404})
        if status == 404 and _code(told) != "not_found":
            raise self._refusal(path, status, told)
        return told if status == 200 else None

    def ask(
        self, method: str, path: str, document: Document | None = None, fine: Collection[int] = FINE
    ) -> tuple[int, Document]:
        """The status as well, for those to whom several are fine."""
        body = json.dumps(document).encode() if document is not None else b"" if method == "POST" else None
        heard = self._heard(method, path, body)
        try:
            told = json.loads(heard.body)
        except (ValueError, RecursionError):  # `[[[[…` is too deep for Python
            told = None
        if not isinstance(told, dict):
            raise Trouble(f"{self.url}{path} answers {heard.status}, and no JSON: is it an admin listener?")
        if heard.status not in fine:
            raise self._refusal(path, heard.status, told)
        return heard.status, told

    def alive(self) -> bool:
        """Does its loop turn? Whatever it thinks of its upstreams, and without a token."""
        heard = self._heard("GET", "/livez", None)
        return (heard.status, heard.body) == (200, b"ok\n")

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Around what takes documents apart: one of another shape is not ours, or of another version of us."""
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            what = f"{type(error).__name__} {error}"
            raise Trouble(
                f"{self.url} is no sidecar, or one of a version that this one does not know ({what})"
            ) from error

    def _heard(self, method: str, path: str, body: bytes | None) -> Heard:
        try:
            return self._web.ask(method, path, body, {"Content-Type": "application/json"} if body else None)
        except Trouble as trouble:
            if trouble.code == NOT_WELL:
                raise Trouble(f"{trouble}. Is a sidecar running? --admin URL says where") from None
            raise

    def _refusal(self, path: str, status: int, told: Document) -> Trouble:
        said = _error_of_ours(told).get("message")
        if not isinstance(said, str):
            return Trouble(f"{self.url}{path} answers {status}: is it an admin listener?")
        hint = _HINTS.get(_code(told), "").format(url=self.url)
        return Trouble(f"{said}{hint}", BAD_USAGE if status in _REFUSED else NOT_WELL)


def _code(told: Document) -> str:
    return str(_error_of_ours(told).get("code"))


def _error_of_ours(told: Document) -> Document:
    """What a refusal says; nothing if it is a stranger's, whose words would not fit: ours names the call."""
    error = told.get("error")
    return error if isinstance(error, dict) and "correlation_id" in error else {}
