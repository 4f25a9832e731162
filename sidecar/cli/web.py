"""One of the sidecar's listeners as a command calls it.

`http.client` of the standard library: it is there in 30 ms, aiohttp in 200, and a
command that waits for a person to read needs no loop.
"""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from sidecar.cli.trouble import BAD_USAGE, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE = 30.0
"""Seconds of silence after which a listener is given up."""

LONGEST_BODY = 64 << 20
"""Bytes of an answer that is held whole."""

_KINDS = "http://HOST:PORT, HOST:PORT or unix:/PATH is"


class Heard(NamedTuple):
    """A whole answer; names of `fields` are lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


class Web:
    """A listener at `url` (`http://…`, `https://…`, `host:port` or `unix:/path`); `fields` go with each request.

    Who a TLS listener is, is checked as the system does it (`$SSL_CERT_FILE` names another authority).
    Raises `Trouble`: code 2 for an address or a field that is none, 1 where nobody answers.
    """

    def __init__(self, url: str, fields: Mapping[str, str] | None = None, *, timeout: float = PATIENCE) -> None:
        self.url = url if "://" in url or url.startswith("unix:") else f"http://{url}"
        self._fields = dict(fields or {})
        self._timeout = timeout
        self._base = ""
        if self.url.startswith("unix:"):
            if not hasattr(socket, "AF_UNIX"):
                raise Trouble(f"{url}: this system has no unix sockets here", BAD_USAGE)
            return
        try:
            parts = urlsplit(self.url)
            self._host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise Trouble(f"{url} is no address: {error}", BAD_USAGE) from None
        if parts.username is not None or parts.password is not None:  # not told again: it may be a secret
            raise Trouble(f"an address has no user and no password here: {_KINDS} one", BAD_USAGE)
        if parts.scheme not in {"http", "https"} or not self._host:
            raise Trouble(f"{url} is no address: {_KINDS}", BAD_USAGE)
        # Always told: http.client takes the end of an IPv6 address for a port where it is not.
        self._port = port if port is not None else {"http": 80, "https": 443}[parts.scheme]
        self._base = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")

    def ask(self, method: str, path: str, body: bytes | None = None, fields: Mapping[str, str] | None = None) -> Heard:
        """One request and its whole answer."""
        with self.open(method, path, body, fields) as reply:
            text = reply.read(LONGEST_BODY)
            if len(text) == LONGEST_BODY:
                raise Trouble(f"{self.url}{path} answers more than {LONGEST_BODY >> 20} MiB")
            if reply.length:  # http.client tells it only to those who read without a limit
                raise http.client.IncompleteRead(text, reply.length)
            return Heard(reply.status, fields_of(reply), text)

    @contextmanager
    def open(
        self, method: str, path: str, body: bytes | None = None, fields: Mapping[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """One request, and its answer from the head on; what breaks while it is read is `Trouble`, too."""
        connection = self._connection()
        sent = {name: _field(name, value) for name, value in {**self._fields, **(fields or {})}.items()}
        try:
            try:
                connection.request(method, self._base + path, body, sent)
            except UnicodeError as error:  # a host like `a..b`, which no name is
                raise Trouble(f"{self.url} is no address: {error}", BAD_USAGE) from None
            with connection.getresponse() as reply:
                yield reply
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(f"{self.url} does not answer: {_reason(error, self.url)}") from error
        finally:
            connection.close()

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


def _field(name: str, value: str) -> bytes:
    """As it is sent: UTF-8, which is how our listeners read it. The value is told nowhere: it may be a secret."""
    if any((ord(each) < 0x20 and each != "\t") or each == "\x7f" for each in value):  # RFC 9110, 5.5
        raise Trouble(f"the value for {name} has a line break or another control character in it", BAD_USAGE)
    return value.encode("utf-8", "surrogateescape")


def _reason(error: Exception, url: str) -> str:
    if isinstance(error, TimeoutError):
        return "no word within the time"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer breaks off"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closes the connection without a word" + " (is it https:// instead of http://?)" * url.startswith(
            "http:"
        )
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return f"what comes is no HTTP ({type(error).__name__})"
    if reason := getattr(error, "verify_message", ""):  # of ssl, which is not imported for this alone
        return f"its certificate is not trusted: {reason} ($SSL_CERT_FILE names an authority that is)"
    if (reason := getattr(error, "reason", "")) == "WRONG_VERSION_NUMBER":
        return "it speaks no TLS (is it http:// instead of https://?)"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
