"""One of the sidecar's listeners as a command calls it.

`http.client` of the standard library: it is there in 30 ms, aiohttp in 200, and a
command that waits for a person to read needs no loop.
"""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from sidecar.cli.trouble import BAD_USAGE, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE = 30.0
"""Seconds of silence after which a listener is given up."""

_LONGEST_BODY = 64 << 20


class Heard(NamedTuple):
    """A whole answer; names of `fields` are lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


class Web:
    """A listener at `url` (`http://…`, `https://…`, `host:port` or `unix:/path`); `fields` go with each request.

    Raises `Trouble`: code 2 for an address that is none, 1 where nobody answers.
    """

    def __init__(self, url: str, fields: Mapping[str, str] | None = None, *, timeout: float = PATIENCE) -> None:
        self.url = url if "://" in url or url.startswith("unix:") else f"http://{url}"
        self._fields = dict(fields or {})
        self._timeout = timeout
        if self.url.startswith("unix:"):
            return
        try:
            parts = urlsplit(self.url)
            self._host, self._port, self._base = parts.hostname or "", parts.port, parts.path.rstrip("/")
        except ValueError as error:
            raise Trouble(f"{url} is no address: {error}", BAD_USAGE) from None
        if parts.scheme not in {"http", "https"} or not self._host:
            raise Trouble(f"{url} is no address: http://HOST:PORT, HOST:PORT or unix:/PATH is", BAD_USAGE)

    def ask(self, method: str, path: str, body: bytes | None = None, fields: Mapping[str, str] | None = None) -> Heard:
        """One request and its whole answer."""
        with self.open(method, path, body, fields) as reply:
            text = reply.read(_LONGEST_BODY)
            return Heard(reply.status, fields_of(reply), text)

    @contextmanager
    def open(
        self, method: str, path: str, body: bytes | None = None, fields: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """One request, and its answer from the head on; what breaks while it is read is `Trouble`, too."""
        connection = self._connection()
        try:
            connection.request(method, self._path(path), body, {**self._fields, **(fields or {})})
            with connection.getresponse() as reply:
                yield reply
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(f"{self.url} does not answer: {_reason(error)}") from error
        finally:
            connection.close()

    def _path(self, path: str) -> str:
        return path if self.url.startswith("unix:") else self._base + path

    def _connection(self) -> http.client.HTTPConnection:
        if self.url.startswith("unix:"):
            return _UnixConnection(self.url.removeprefix("unix:"), self._timeout)
        kind = http.client.HTTPSConnection if self.url.startswith("https:") else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def fields_of(reply: http.client.HTTPResponse) -> dict[str, str]:
    """The head's fields by lower-case name; of one that comes twice, both values."""
    fields: dict[str, str] = {}
    for name, value in reply.getheaders():
        key = name.lower()
        fields[key] = f"{fields[key]}, {value}" if key in fields else value
    return fields


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no word within the time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
