"""From the metadata of a gRPC call to a `Call`: the gRPC form of `read_call.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from sidecar.call import Call, Wire
from sidecar.dialects.metadata import is_text
from sidecar.errors import HeaderTooLarge, InvalidRequest
from sidecar.listeners.asked import ASKING, Access, ids_of, wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sidecar.body import Body
    from sidecar.call import Headers
    from sidecar.ids import Ids

_ATTEMPTS = b"grpc-previous-rpc-attempts"

_ASKING = ASKING | {_ATTEMPTS}

_STAYS = frozenset(
    {
        b"te", b"content-type", b"host", b"user-agent", b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding",
        b"x-sidecar-token", b"x-sidecar-idempotent", b"x-sidecar-retry", b"x-sidecar-fallback", b"x-sidecar-timeout",
    }
)  # fmt: skip
"""What does not go on: it belongs to one connection, is made anew by each hop, or is said to us."""


class MetadataReader:
    """Makes calls of what a gRPC server hands over. `via` is our own pseudonym: a call that bears it went in a circle.

    `access` is replaced by a reload. More than `max_headers` pairs are refused, 0 for any number.
    """

    __slots__ = ("_clock", "_ids", "_via", "access", "max_headers")

    def __init__(
        self, access: Access, ids: Ids, via: bytes, clock: Callable[[], float], *, max_headers: int = 0
    ) -> None:
        self.access = access
        self.max_headers = max_headers
        self._ids = ids
        self._via = via
        self._clock = clock

    def read(
        self,
        method: str,
        metadata: Iterable[tuple[str, str | bytes]],
        body: Body,
        *,
        deadline: float | None,
        peer: str,
        host: bytes,
        secure: bool,
        unary: bool,
    ) -> Call:
        """The call. Its `refusal` is set when it must not be served.

        `method` is `/package.Service/Method`, `deadline` the seconds that `grpc-timeout` leaves,
        `peer` the caller as gRPC names it (`ipv4:…`), `host` the `:authority`.
        """
        now = self._clock()
        headers, fields, count, unsendable = _pairs(metadata)
        asks = not _ASKING.isdisjoint(fields)
        if asks:
            request_id, correlation_id = ids_of(fields, self._ids)
        else:
            request_id = correlation_id = self._ids.new()
        path = method.encode()
        sent = fields.get(b"traceparent")
        trace = self._ids.traceparent(sent)
        call = Call(
            id=request_id,
            correlation_id=correlation_id,
            wire=Wire.GRPC,
            method=b"POST",
            target=path,
            path=path,
            headers=headers,
            fields=fields,
            body=body,
            started=now,
            host=host,
            traceparent=trace,
            peer=address_of(peer),
        )
        if secure:
            call.secure = True
        if unary:
            call.unary = True
        if trace is not sent and b"tracestate" in fields:
            call.stray_state = True
        if deadline is not None:
            call.caller_deadline = call.rpc_deadline = now + deadline
        access = self.access
        if self.max_headers and count > self.max_headers:
            call.refusal = HeaderTooLarge(f"more than {self.max_headers} pairs of metadata")
        elif unsendable:
            call.refusal = InvalidRequest(f"the value of the metadata {unsendable} is not printable ASCII")
        elif asks or access.token:
            if access.trusted:
                call.peer = access.caller(call.peer, fields)
            call.retrying = fields.get(_ATTEMPTS, b"0") != b"0"
            call.refusal = access.refusal(fields, self._via) or wishes(call, now)
        return call


def address_of(peer: str) -> str:
    """The address in gRPC's name of a peer, as HTTP calls have it: of `ipv4:1.2.3.4:5` it is `1.2.3.4`."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    return unquote(rest).rpartition(":")[0].strip("[]")


def _pairs(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[Headers, dict[bytes, bytes], int, str]:
    """The pairs that go on, the index of all of them, how many there were, and the name of one that cannot go on.

    Repeated names are joined with a comma in the index, as gRPC allows (binary ones too). C-core
    takes values that it does not send (gRPC over HTTP/2, "ASCII-Value").
    """
    headers: Headers = []
    index: dict[bytes, bytes] = {}
    count = 0
    unsendable = ""
    for key, text in metadata:
        count += 1
        name = key.encode()
        if isinstance(text, bytes):
            value = text
        else:
            value = text.encode()
            if not is_text(text):
                unsendable = key
        index[name] = index[name] + b", " + value if name in index else value
        if name not in _STAYS and not name.startswith(b":"):
            headers.append((name, value))
    return headers, index, count, unsendable
