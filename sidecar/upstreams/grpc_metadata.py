"""The metadata that goes upstream: whose pairs stay, which are added.

The caller's pairs keep their order. What each hop makes anew is dropped and
written again: ids, trace, `via`, and the count of attempts before this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.upstreams.request_head import TRACESTATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidecar.call import Call, Header, Headers

ATTEMPTS = b"grpc-previous-rpc-attempts"
"""How many attempts of the call were made before this one; sent with retries only (gRFC A6)."""

_CORRELATION = frozenset({b"x-correlation-id", b"correlation-id"})

_REMADE = frozenset({b"x-request-id", b"x-correlation-id", b"traceparent", ATTEMPTS})


class MetadataWriter:
    """Writes the request metadata for one upstream.

    `via` is our `Via` entry, empty for none. `uncorrelated` are methods whose server breaks on a
    correlation id.
    """

    __slots__ = ("_defaults", "_drop", "_fixed", "_uncorrelated", "_via")

    def __init__(
        self,
        headers: Iterable[Header],
        default_headers: Iterable[Header],
        via: bytes,
        uncorrelated: frozenset[bytes] = frozenset(),
    ) -> None:
        self._fixed = tuple((name.lower(), value) for name, value in headers if value)
        self._defaults = tuple((name.lower(), value) for name, value in default_headers if value)
        self._via = via
        self._uncorrelated = uncorrelated
        own = {name for name, _ in self._fixed}
        self._drop = _REMADE | own | ({b"via"} if via else set())

    @property
    def own(self) -> tuple[Header, ...]:
        """What goes with a call that is ours and nobody else's."""
        fixed = {name for name, _ in self._fixed}
        defaults = tuple(pair for pair in self._defaults if pair[0] not in fixed)
        return (*self._fixed, *defaults, *(((b"via", self._via),) if self._via else ()))

    def write(self, call: Call) -> tuple[Header, ...]:
        """The pairs, in the order in which they are sent."""
        fields, drop = call.fields, self._drop
        if call.stray_state:
            drop = drop | TRACESTATE
        if drop.isdisjoint(fields):
            pairs = list(call.headers)
        else:
            pairs = [pair for pair in call.headers if pair[0] not in drop]
        pairs += self._fixed
        for pair in self._defaults:
            if pair[0] not in fields:
                pairs.append(pair)
        request_id = call.id.encode()
        pairs.append((b"x-request-id", request_id))
        if call.target in self._uncorrelated:
            pairs = [pair for pair in pairs if pair[0] not in _CORRELATION]
        else:
            pairs.append((b"x-correlation-id", call.correlation_id.encode()))
        pairs.append((b"traceparent", call.traceparent))
        if self._via:
            came = fields.get(b"via")
            pairs.append((b"via", b"%b, %b" % (came, self._via) if came else self._via))
        before = call.attempts - 1
        if ATTEMPTS in fields and fields[ATTEMPTS].isdigit():
            before += int(fields[ATTEMPTS])
        if before > 0:
            pairs.append((ATTEMPTS, b"%d" % before))
        return tuple(pairs)


def pairs(metadata: Iterable[tuple[str | bytes, str | bytes]]) -> Headers:
    """Metadata as grpcio gives it, as bytes."""
    return [
        (name.encode() if isinstance(name, str) else name, value.encode() if isinstance(value, str) else value)
        for name, value in metadata
    ]
