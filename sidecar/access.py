"""Who may call: a page in a browser must not spend the user's keys.

A web page can reach a listener on a loopback address in two ways. It can have its
own name resolve to 127.0.0.1 (DNS rebinding): then `Host` carries that name. Or it
can simply send there: then `Origin` carries the page's. Neither can be forged by
the page. Pure functions; verdicts are kept for the last thousand values, because
the http listener asks on each call (80 ns).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

LONGEST = 300
"""Bytes: a DNS name has at most 253. What is longer is foreign, and not worth remembering."""

_NAME = re.compile(rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_LOCAL_SUFFIXES = (b".localhost", b".internal", b".home.arpa", b".test", b".svc", b".cluster.local")
_ORIGIN = re.compile(rb"[a-z][a-z0-9+.-]*://([^/@?#\s]+)")


def hostname(host: bytes) -> bytes:
    """The host of a `Host` field in lower case, without its port and the dot that may end a full name."""
    host = host.lower()
    if host.startswith(b"["):
        return host[: host.find(b"]") + 1]
    return host.partition(b":")[0].rstrip(b".")


def host_allowed(host: bytes, allowed: frozenset[bytes]) -> bool:
    """May a caller name us so in `Host`? `allowed` are further names, lower case, without port.

    IP literals and single labels pass, and so does a name that public DNS does not
    serve. No `Host` at all (HTTP/1.0) passes: no browser sends that.
    """
    return len(host) <= LONGEST and _host_allowed(host, allowed)


def origin_allowed(origin: bytes, allowed: frozenset[bytes]) -> bool:
    """May a page of this origin change something? Loopback origins may, and those in `allowed` (lower case).

    `null` is nobody's origin (a sandboxed frame, a file) and may not.
    """
    return len(origin) <= LONGEST and _origin_allowed(origin, allowed)


@lru_cache(maxsize=1024)
def _host_allowed(host: bytes, allowed: frozenset[bytes]) -> bool:
    name = _without_port(host.lower())
    if name is None:
        return False
    if not name or name in allowed or _ip(name) is not None:
        return True
    if not _NAME.fullmatch(name):
        return False
    # A browser takes a name whose last label is a number for an IPv4 address (WHATWG URL,
    # section 3.5, "ends in a number"), so it cannot be a page's own name.
    return b"." not in name or name.endswith(_LOCAL_SUFFIXES) or name.rpartition(b".")[2].isdigit()


@lru_cache(maxsize=1024)
def _origin_allowed(origin: bytes, allowed: frozenset[bytes]) -> bool:
    origin = origin.lower()
    if origin in allowed:
        return True
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    name = _without_port(match[1])
    return name is not None and _loopback(name)


@lru_cache(maxsize=64)
def is_loopback(address: str) -> bool:
    """Is this address (`host`, `host:port`, `[::1]:port`, `unix:/path`) reachable from this machine only?"""
    if address.startswith("unix:"):
        return True
    name = address.lower().encode()
    if _ip(name) is None:
        name = _without_port(name) or b""
    return _loopback(name)


def _loopback(name: bytes) -> bool:
    if name == b"localhost" or name.endswith(b".localhost"):
        return True
    ip = _ip(name)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip is not None and ip.is_loopback


def _ip(name: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a literal stands for, with or without the brackets of IPv6."""
    if name.startswith(b"[") and name.endswith(b"]"):
        name = name[1:-1]
    try:
        return ipaddress.ip_address(name.decode("ascii"))
    except ValueError:
        return None


def _without_port(host: bytes) -> bytes | None:
    """The name of `name:port`, without the root's dot; None when it is neither."""
    name, colon, port = host.rpartition(b":")
    if not colon or host.endswith(b"]"):
        name = host
    elif (port and not port.isdigit()) or (b":" in name and not name.endswith(b"]")):
        return None
    return name.removesuffix(b".")
