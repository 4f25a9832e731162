"""Where a listener listens: `host:port`, `[::1]:port`, `unix:/path`, or nowhere."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from sidecar.settings.values import SettingError

if TYPE_CHECKING:
    import socket

ALLOWED = 'host:port, [::1]:port, unix:/path, or "" for off'

_LONGEST_LABEL = 63
"""Bytes between two dots of a name (RFC 1035, section 2.3.4): what is longer no resolver is even asked for."""


@dataclass(frozen=True, slots=True)
class Address:
    """A place to bind: a host and a port (0 lets the system choose), or a unix socket."""

    host: str = ""
    port: int = 0
    unix: str = ""

    def __str__(self) -> str:
        if self.unix:
            return f"unix:{self.unix}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Reachable from this machine only: a unix socket is."""
        if self.unix or self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def collides(self, other: Address) -> bool:
        """Whether both cannot be bound at once; a wildcard takes all addresses of its family."""
        if self.unix or other.unix:
            return self.unix == other.unix
        if self.port != other.port or not self.port:
            return False
        mine, theirs = _host(self.host), _host(other.host)
        same_family = (":" in mine) == (":" in theirs)
        return mine == theirs or (same_family and bool({mine, theirs} & {"0.0.0.0", "::"}))  # noqa: S104  compared, not bound


def address_of(sock: socket.socket) -> Address:
    """Where a bound socket listens, its real port included."""
    name = sock.getsockname()
    return Address(unix=name) if isinstance(name, str) else Address(*name[:2])


def parse_address(text: str) -> Address | None:
    """The address, None for `""`. Raises `SettingError`."""
    if not text:
        return None
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or "\0" in path:
            raise SettingError("names no absolute path after unix:", allowed=ALLOWED)
        return Address(unix=path)
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise SettingError("has no host or no port", allowed=ALLOWED)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise SettingError("has no port between 0 and 65535", allowed=ALLOWED)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip6(host):
            raise SettingError("has no IPv6 address in its brackets", allowed=ALLOWED)
    elif ":" in host:
        raise SettingError("an IPv6 address needs brackets", allowed=ALLOWED, nearest=f"[{host}]:{port}")
    elif not host.isascii() or any(c in host for c in "/@?#[] \t") or not host.isprintable():
        raise SettingError("is not an address", allowed=ALLOWED)
    elif not all(0 < len(label) <= _LONGEST_LABEL for label in host.removesuffix(".").split(".")):
        raise SettingError("is not an address: a part of the name is empty or too long", allowed=ALLOWED)
    return Address(host=host, port=int(port))


def _is_ip6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _host(text: str) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower()


def _checked(text: str) -> str:
    parse_address(text)
    return text


AddressText = Annotated[str, AfterValidator(_checked)]
"""An address as written; `parse_address` takes it apart."""
