"""Which proxy a connection goes through, by the usual environment."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy. `authorization` is the value of `Proxy-Authorization`, empty when the URL named no user."""

    host: str
    port: int
    secure: bool = False
    authorization: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """From `http://user:password@host:port`; the scheme may be left out. ValueError tells what is wrong."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"a proxy is http://host:port or https://host:port, not {_without_user(url)!r}")
        secure = parts.scheme == "https"
        authorization = b""
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = b"Basic " + base64.b64encode(user.encode())
        return cls(parts.hostname, parts.port or (443 if secure else 80), secure, authorization)


def proxy_from(environ: Mapping[str, str], scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy that `HTTPS_PROXY` or `HTTP_PROXY` names for an origin, lower case first.

    Never for loopback and single-label hosts, which are neighbours, nor for what `NO_PROXY` lists.
    """
    url = _variable(environ, f"{scheme}_proxy")
    if not url or _is_neighbour(host) or _is_exempt(_variable(environ, "no_proxy"), host, port):
        return None
    return Proxy.parse(url)


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.version == 6 and address.ipv4_mapped) or address


def _is_neighbour(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return "." not in host.rstrip(".") or host.rstrip(".").lower().endswith(".localhost")


def _is_exempt(listed: str, host: str, port: int) -> bool:
    """Whether `NO_PROXY` names it: `*`, a name and all below it, an address, a network, each with a port or without."""
    return any(_names(entry.strip().lower(), host.lower().rstrip("."), port) for entry in listed.split(","))


def _names(entry: str, host: str, port: int) -> bool:
    if entry in {"", "*"}:
        return entry == "*"
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass  # not a network: with a port, or a name
    name, colon, digits = entry.rpartition(":")
    if colon and digits.isdecimal():
        if int(digits) != port:
            return False
        entry = name
    if address is not None:
        return _address(entry.strip("[]")) == address
    entry = entry.removeprefix("*").lstrip(".")
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))


def _without_user(url: str) -> str:
    """For a message: what may be a password is not shown."""
    return url.rpartition("@")[2]
