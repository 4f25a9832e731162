"""Where the http listener is, for commands that call as an application does."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sidecar.cli.admin_client import Admin
from sidecar.cli.trouble import NOT_WELL, Trouble
from sidecar.cli.web import Web

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USUAL = "127.0.0.1:7070"
SILENCE = 600.0
"""Seconds without a byte after which a call is given up: a model may think for minutes. (Both vendors: ten.)"""

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - where others listen, and where we reach them


class Listeners:
    """The two that a command talks to: `http` for calls, `admin` for what is known of models and routes.

    The http listener is where the admin listener at `--admin` says, else at `$SIDECAR_HTTP` (as `sidecar exec` sets
    it), else where the usual admin listener says, else at `$SIDECAR_LISTEN_HTTP` or the usual port. If it asks its
    callers for a token: `$SIDECAR_HTTP_TOKEN`. Raises `Trouble` when an admin listener that was named (also by
    `$SIDECAR_ADMIN`) cannot be asked, or tells of no http listener.
    """

    def __init__(self, admin_url: str | None, token: str | None, environ: Mapping[str, str] = os.environ) -> None:
        self.admin = Admin(admin_url, token, environ)
        self.admin_named = bool(admin_url)
        shared = environ.get("SIDECAR_HTTP_TOKEN", "")
        self.http = Web(self._url(environ), {"X-Sidecar-Token": shared} if shared else {}, timeout=SILENCE)

    def _url(self, environ: Mapping[str, str]) -> str:
        told = environ.get("SIDECAR_HTTP", "")
        if told and not self.admin_named:
            return told
        try:
            addresses = self.admin.get("/listeners")
        except Trouble:
            if self.admin_named or environ.get("SIDECAR_ADMIN"):
                raise
            return reachable(environ.get("SIDECAR_LISTEN_HTTP") or USUAL, secure=False)
        address = addresses.get("http")
        if not isinstance(address, str) or not address:
            raise Trouble(f"the sidecar at {self.admin.url} has no http listener (listen.http)", NOT_WELL)
        return reachable(address, secure=self._secure())

    def _secure(self) -> bool:
        with self.admin.understood():
            return bool(self.admin.get("/config")["config"]["listen"]["http_tls"])


def reachable(address: str, *, secure: bool) -> str:
    """The URL of who listens at `address`; one that listens everywhere is called on loopback."""
    if address.startswith("unix:"):
        return address
    host, colon, port = address.rpartition(":")
    return f"{'https' if secure else 'http'}://{_ANYWHERE.get(host, host)}{colon}{port}"


@contextmanager
def answering() -> Iterator[None]:
    """Around what raises `Trouble` where nobody answers: says what to do about it."""
    try:
        yield
    except Trouble as trouble:
        if trouble.code == NOT_WELL:
            raise Trouble(f"{trouble}. Is a sidecar running? $SIDECAR_HTTP or --admin URL says where") from None
        raise
