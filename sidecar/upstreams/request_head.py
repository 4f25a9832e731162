"""The request head that goes upstream: whose fields stay, which are added.

The caller's fields keep their order and spelling. What each hop makes anew is
dropped and written again: `Host`, the framing, `Via`, the ids. A request signed
for AWS gets nothing added, since an addition breaks the signature. LLM providers
get the ids only that the caller itself sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from sidecar.http1.fields import REMADE_OF_REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.call import Call, Header, Headers

CONTROLS = frozenset(
    {
        b"x-sidecar-token",
        b"x-sidecar-retry",
        b"x-sidecar-fallback",
        b"x-sidecar-timeout",
        b"x-sidecar-idempotent",
    }
)
"""Fields by which a caller speaks to us; they end here."""

_REMADE = frozenset({b"x-request-id", b"x-correlation-id", b"traceparent"})
TRACESTATE = frozenset({b"tracestate"})
"""It goes on with its trace; without one it ends here (W3C Trace Context, section 4)."""
_NOT_BEHIND = frozenset({b"authorization", b"cookie", b"content-encoding", b"content-type", b"content-range"})
"""They say who sends a body or how to read it, so they come too late behind it."""

_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})
_HAS_BODY = frozenset({b"POST", b"PUT", b"PATCH"})

_line = b": ".join


@dataclass(frozen=True, slots=True)
class Additions:
    """What one upstream adds to every request.

    `via` is our `Via` entry, empty for none. `query` are parameters as they stand on the wire, without `?`;
    a caller's own of the same name gives way. `ids`: `X-Request-ID`, `X-Correlation-ID` and `traceparent` are
    ours to write; without it they pass where the caller sent them, as it sent them.
    """

    host: str = "upstream"
    authority: bytes = b""
    headers: tuple[Header, ...] = field(default=(), repr=False)
    default_headers: tuple[Header, ...] = field(default=(), repr=False)
    via: bytes = b""
    forwarded: bool = False
    query: bytes = field(default=b"", repr=False)
    ids: bool = True


class HeadWriter:
    """Writes request heads for one address of one upstream."""

    __slots__ = (
        "_authority",
        "_base",
        "_defaults",
        "_drop",
        "_fixed",
        "_forwarded",
        "_hop",
        "_host",
        "_ids",
        "_not_behind",
        "_own_query",
        "_query",
        "_via",
    )

    def __init__(self, additions: Additions, base: bytes) -> None:
        """`base` stands before the path: that of the upstream's URL without a slash at its end, or the whole
        origin with it, for plain http through a proxy (RFC 9112, section 3.2.2).
        """
        self._base = base
        own = frozenset(name.lower() for name, value in additions.headers if value)
        forwarded = _FORWARDED if additions.forwarded else frozenset()
        via = frozenset({b"via"}) if additions.via else frozenset()  # without an entry of ours the chain stays as it is
        ids = _REMADE if additions.ids else frozenset()
        self._drop = CONTROLS | own | ids | via | forwarded
        self._not_behind = self._drop | REMADE_OF_REQUEST | _NOT_BEHIND
        self._fixed = [_line(pair) for pair in additions.headers if pair[1]]
        # For the proxy on the way, which no signature covers.
        self._hop = [_line(pair) for pair in additions.headers if pair[0].lower() == b"proxy-authorization"]
        defaults = (pair for pair in additions.default_headers if pair[1])
        self._defaults = tuple((pair[0].lower(), _line(pair)) for pair in defaults)
        self._via = additions.via
        self._ids = additions.ids
        self._query = additions.query
        self._own_query = frozenset(map(_parameter, additions.query.split(b"&")))
        self._forwarded = additions.forwarded
        self._authority = additions.authority
        self._host = {"upstream": additions.authority, "caller": None}.get(additions.host, additions.host.encode())

    def write(self, call: Call, *, length: int | None, chunked: bool) -> bytes:
        """The head with its blank line. `length` None and not `chunked`: no body at all."""
        fields = call.fields
        host = call.host if self._host is None else self._host
        target = call.outgoing or call.target
        signed = (b"authorization" in fields and fields[b"authorization"].startswith(b"AWS4-")) or (
            b"X-Amz-Signature=" in call.target
        )
        if self._query and not signed:
            target = self._asked(target)
        parts = [b"%b %b%b HTTP/1.1\r\nHost: %b" % (call.method, self._base, target, host)]
        drop = CONTROLS if signed else self._drop
        if call.stray_state and self._ids and not signed:
            drop |= TRACESTATE
        if drop.isdisjoint(fields):  # most calls: nothing to look at one by one
            parts += map(_line, call.headers)
        else:
            parts += [_line(pair) for pair in call.headers if pair[0].lower() not in drop]
        if signed:
            parts += self._hop
        else:
            parts += self._fixed
            for name, line in self._defaults:
                if name not in fields:
                    parts.append(line)
            if self._ids:
                parts.append(_ids(call))
            if self._via or self._forwarded:
                self._hops(parts, call)
        if chunked:
            parts.append(b"Transfer-Encoding: chunked")
            if b"trailer" in fields:
                parts.append(b"Trailer: %b" % fields[b"trailer"])
        elif length or (length == 0 and (call.method in _HAS_BODY or b"content-length" in fields)):
            parts.append(b"Content-Length: %d" % length)
        if call.upgrade:
            # Of a list only what we tunnel: an upstream that took h2c would be out of all routes' reach.
            asked = fields[b"upgrade"]
            parts.append(
                b"Connection: Upgrade\r\nUpgrade: %b" % (asked if asked.lower() == call.upgrade else call.upgrade)
            )
        elif b"te" in fields and b"trailers" in fields[b"te"].lower():
            parts.append(b"Connection: TE\r\nTE: trailers")
        if call.expects_continue and not call.body.complete:
            parts.append(b"Expect: 100-continue")
        parts.append(b"\r\n")
        return b"\r\n".join(parts)

    def check(self, path: bytes, *further: Header) -> bytes:
        """The head of a health check: nobody calls, but the upstream and its proxy may ask for what each call has.

        `further` are fields that others add to calls, as a credential.
        """
        host = self._authority if self._host is None else self._host
        target = self._asked(path) if self._query else path
        line = b"GET %b%b HTTP/1.1\r\nHost: %b" % (self._base, target, host)
        return b"\r\n".join((line, *self._fixed, *map(_line, further), b"", b""))

    def trailers(self, sent: Iterable[Header]) -> Headers:
        """Of the fields behind a body, those that may stand there (RFC 9110, section 6.5.1).

        An upstream may merge them into the head: what is ours to say there cannot be said behind it.
        """
        return [pair for pair in sent if pair[0].lower() not in self._not_behind]

    def _asked(self, target: bytes) -> bytes:
        """The target with our parameters behind the caller's own."""
        path, mark, came = target.partition(b"?")
        if not mark:
            return b"%b?%b" % (path, self._query)
        kept = [pair for pair in came.split(b"&") if pair and _parameter(pair) not in self._own_query]
        return b"%b?%b" % (path, b"&".join((*kept, self._query)))

    def _hops(self, parts: list[bytes], call: Call) -> None:
        """What says which hops the request has passed."""
        if self._via:
            came = call.fields.get(b"via")
            parts.append(b"Via: %b, %b" % (came, self._via) if came else b"Via: " + self._via)
        if self._forwarded:
            came = call.fields.get(b"x-forwarded-for")
            peer = call.peer.encode()
            chain = b"%b, %b" % (came, peer) if came else peer
            scheme = b"https" if call.secure else b"http"
            parts.append(
                b"X-Forwarded-For: %b\r\nX-Forwarded-Host: %b\r\nX-Forwarded-Proto: %b" % (chain, call.host, scheme)
            )


def _ids(call: Call) -> bytes:
    request_id = call.id.encode()
    correlation_id = request_id if call.correlation_id is call.id else call.correlation_id.encode()
    return b"X-Request-ID: %b\r\nX-Correlation-ID: %b\r\ntraceparent: %b" % (
        request_id,
        correlation_id,
        call.traceparent,
    )


def _parameter(pair: bytes) -> bytes:
    """The name that a server reads in `name=value`; in forms `+` is a blank."""
    return unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" "))
