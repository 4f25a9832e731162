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

REMADE = HOP_BY_HOP | {b"content-length"}
"""What of a reply does not go on: framing is made anew for each hop, too."""

REMADE_OF_REQUEST = REMADE | {b"host", b"expect"}
"""What of a request does not go on: whom it is for, and whether its body waits, is the next sender's to say."""

# What `Connection` mostly says: it names no field that HOP_BY_HOP does not drop already.
_NAMES_NOTHING = frozenset(
    {b"keep-alive", b"close", b"upgrade", b"Keep-Alive", b"Close", b"Upgrade", b"keep-alive, Upgrade", b"te"}
)


def forwardable(headers: Headers, stays: frozenset[bytes] = REMADE) -> tuple[Headers, dict[bytes, bytes]]:
    """The fields that may go on, and the index of all fields.

    The fields in `stays` (lower case) and those that `Connection` names are not in the first. The
    index maps the lower-case name to the value without blanks around it; repeated
    fields are joined with a comma (RFC 9110, section 5.3; so do not read
    `Set-Cookie` from it).
    """
    onward: Headers = []
    index: dict[bytes, bytes] = {}
    for pair in headers:
        name, value = pair
        name = name.lower()
        # llhttp takes the blanks off before a value and leaves those behind it.
        index[name] = index[name] + b", " + value.rstrip() if name in index else value.rstrip()
        if name not in stays:
            onward.append(pair)
    named = index.get(b"connection")
    if named is not None and named not in _NAMES_NOTHING:
        dropped = tokens(named)
        onward = [pair for pair in onward if pair[0].lower() not in dropped]
    return onward, index


def tokens(value: bytes) -> set[bytes]:
    """The members of a comma-separated list, lower case, without blanks; empty ones do not count."""
    return {member for part in value.lower().split(b",") if (member := part.strip())}
