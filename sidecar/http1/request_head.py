"""What a request's head says, and whether it may be served at all.

llhttp refuses most bad heads by itself; this file refuses what it lets pass
(rule 15: the listener never trusts). Every check names its rule.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sidecar.errors import InvalidRequest, NotImplementedHere, VersionNotSupported
from sidecar.http1.fields import tokens

HTTP_10 = (1, 0)
HTTP_11 = (1, 1)

_VERSIONS = {"1.1": HTTP_11, "1.0": HTTP_10}

# RFC 3986, section 3.2: a registered name or IPv4 address, or an address in brackets; no user part.
_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-fvV:.%a-zA-Z0-9_~-]+\])(?::[0-9]{0,5})?")
_LONGEST_AUTHORITY = 512
"""Bytes: a DNS name has at most 253, and a thousand of the callers' are remembered."""
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)([^#]*)", re.IGNORECASE)

_TLS_HANDSHAKE = b"\x16"

# Not switched to: we speak HTTP/1.1 here, and an upstream's HTTP/2 would be framed for us, not for the caller.
_NOT_TUNNELLED = frozenset({b"h2c", b"h2", b"http/2", b"http/2.0", b"http/1.1", b"http/1.0"})


Judged = tuple[bytes, bytes, tuple[int, int], int | None, bytes, bool]
"""A head that may be served: target (a path or `*`), host, version, length of the body (None when chunked),
protocol to upgrade to, and whether `100 Continue` is waited for. A named tuple would cost 0.3 us more."""


def judge(method: bytes, target: bytes, version: str, fields: dict[bytes, bytes]) -> Judged:
    """Read the head, or raise the `Refused` that answers it.

    An `Expect` other than `100-continue` is no ground for refusal: the upstream may
    know it (RFC 9110, section 10.1.1, leaves 417 to the server's choice).
    """
    spoken = _VERSIONS.get(version)
    if spoken is None:
        if version == "0.9":
            raise InvalidRequest("HTTP/0.9 is not served")
        raise VersionNotSupported(f"HTTP/{version} is not served on this port")
    host = fields.get(b"host")
    if host is None:
        if spoken is HTTP_11:
            raise InvalidRequest("a request must have a Host field")  # RFC 9112, section 3.2
        host = b""
    elif len(host) > _LONGEST_AUTHORITY or not _is_authority(
        host
    ):  # two fields were joined with a comma and a blank: refused here too
        raise InvalidRequest("the Host field is not one valid host")
    if method == b"CONNECT":
        raise NotImplementedHere("CONNECT is not served: routes name the upstreams")
    if target[:1] != b"/" or b"#" in target:
        target, host = _plain_target(method, target, host)
    length: int | None = 0
    if (coding := fields.get(b"transfer-encoding")) is not None:
        if spoken is HTTP_10:
            raise InvalidRequest("HTTP/1.0 has no Transfer-Encoding")  # RFC 9112, section 6.1
        if coding.lower() != b"chunked":
            raise NotImplementedHere("no transfer coding but chunked is served")
        length = None
    elif (declared := fields.get(b"content-length")) is not None:
        length = int(declared)  # digits only: llhttp has seen to it
    upgrade = b""
    expects_continue = False
    if spoken is HTTP_11:  # both are to be ignored in HTTP/1.0 (RFC 9110, sections 7.8 and 10.1.1)
        if b"upgrade" in fields:
            upgrade = _tunnelled(fields)
        if length != 0 and b"expect" in fields:
            expects_continue = b"100-continue" in tokens(fields[b"expect"])
    return target, host, spoken, length, upgrade, expects_continue


@lru_cache(maxsize=1024)
def _is_authority(value: bytes) -> bool:
    return _AUTHORITY.fullmatch(value) is not None


def _plain_target(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """The target without its authority, which wins over `Host` (RFC 9112, sections 3.2.2 to 3.2.4)."""
    if target == b"*":
        if method != b"OPTIONS":
            raise InvalidRequest("the target * is for OPTIONS only")
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or len(absolute[1]) > _LONGEST_AUTHORITY or not _is_authority(absolute[1]):
        raise InvalidRequest("the request target is neither a path nor an http URL")
    rest = absolute[2]
    if not rest and method == b"OPTIONS":
        return b"*", absolute[1]
    return (rest if rest[:1] == b"/" else b"/" + rest), absolute[1]


def _tunnelled(fields: dict[bytes, bytes]) -> bytes:
    """The first protocol asked for that we would tunnel, lower case; empty when there is none."""
    if b"upgrade" not in tokens(fields.get(b"connection", b"")):
        return b""
    for offer in fields[b"upgrade"].lower().split(b","):
        protocol = offer.strip()
        if protocol and protocol not in _NOT_TUNNELLED:
            return protocol
    return b""


def refusal(problem: str, data: bytes) -> InvalidRequest | NotImplementedHere | VersionNotSupported:
    """The answer to what llhttp could not parse. `problem` is its word; `data`, if the connection began with it."""
    if problem in ("Pause on PRI/Upgrade", "Invalid HTTP version"):
        return VersionNotSupported("only HTTP/1.1 and HTTP/1.0 are served on this port")
    if data[:1] == _TLS_HANDSHAKE:
        return InvalidRequest("TLS is spoken to a port without TLS")
    if "method" in problem:
        return NotImplementedHere("the method is not known")
    return InvalidRequest(f"the request cannot be parsed: {problem.lower()}")
