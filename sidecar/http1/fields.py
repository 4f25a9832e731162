"""Header fields: which may be passed on, and how to find one.

Fields stay the byte pairs that stood on the wire, in the sender's order and
spelling. One pass makes the two things a proxy needs: the list that may go on
to the next hop, and an index to read from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.call import Headers

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields for one connection only (RFC 9110, section 7.6.1), lower case."""

# What `Connection` mostly says: it names no field that HOP_BY_HOP does not drop already.
_NAMES_NOTHING = frozenset(
    {b"keep-alive", b"close", b"upgrade", b"Keep-Alive", b"Close", b"Upgrade", b"keep-alive, Upgrade", b"te"}
)

# Meant for every recipient or needed for framing, so `Connection` cannot take them away
# (RFC 9110, section 7.6.1, "MUST NOT send a connection option ...").
_NOT_AN_OPTION = frozenset({b"host", b"content-length"})


def forwardable(headers: Headers) -> tuple[Headers, dict[bytes, bytes]]:
    """The fields that may go on, and the index of all fields.

    Hop-by-hop fields and those that `Connection` names are not in the first. The
    index maps the lower-case name to the value without blanks around it; repeated
    fields are joined with a comma (RFC 9110, section 5.3; so do not read
    `Set-Cookie` from it).
    """
    onward: Headers = []
    index: dict[bytes, bytes] = {}
    for pair in headers:
        name = pair[0].lower()
        if name in index:
            index[name] = index[name] + b", " + pair[1].rstrip()
        else:
            # llhttp takes the blanks off before a value and leaves those behind it.
            index[name] = pair[1].rstrip()
        if name not in HOP_BY_HOP:
            onward.append(pair)
    named = index.get(b"connection")
    if named is not None and named not in _NAMES_NOTHING:
        dropped = tokens(named) - _NOT_AN_OPTION
        onward = [pair for pair in onward if pair[0].lower() not in dropped]
    return onward, index


def tokens(value: bytes) -> set[bytes]:
    """The members of a comma-separated list, lower case, without blanks; empty ones do not count."""
    return {member for part in value.lower().split(b",") if (member := part.strip())}
