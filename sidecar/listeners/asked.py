"""What a caller says about its call beside the request itself, the same over HTTP and gRPC.

Header fields and metadata are one index here: lower-case names to values.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.call import NO_DEADLINE
from sidecar.errors import ForbiddenToken, InvalidRequest, LoopDetected, Refused
from sidecar.ids import Ids, sane
from sidecar.settings import SettingError, parse_duration

if TYPE_CHECKING:
    from sidecar.call import Call

Fields = dict[bytes, bytes]

ASKING = frozenset(
    {
        b"x-request-id", b"x-correlation-id", b"x-sidecar-token", b"x-sidecar-idempotent", b"x-sidecar-retry",
        b"x-sidecar-fallback", b"x-sidecar-timeout", b"idempotency-key", b"via", b"x-forwarded-for",
    }
)  # fmt: skip
"""Fields that ask something of us. Most calls have none of them, which one look tells (0.2 us)."""

_MOST_SIDECARS = 8
"""So many sidecars in a row are a loop that changes its ids."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call: names of hosts and origins (lower case), and the token if one is asked for."""

    hosts: frozenset[bytes] = frozenset()
    origins: frozenset[bytes] = frozenset()
    token: bytes = field(default=b"", repr=False)
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def caller(self, peer: str, fields: Fields) -> str:
        """The caller's address; behind a trusted proxy, the nearest address that is not trusted."""
        if not self.trusted or b"x-forwarded-for" not in fields:
            return peer
        for hop in reversed(fields[b"x-forwarded-for"].split(b",")):
            if not self._trusts(peer):
                return peer
            peer = hop.strip().decode("latin-1")
        return peer

    def refusal(self, fields: Fields, via: bytes) -> Refused | None:
        """Why the call must not be served: its token, or that it bears `via`, our own pseudonym, or a key of ours."""
        if self.token and not hmac.compare_digest(fields.get(b"x-sidecar-token", b""), self.token):
            return ForbiddenToken("X-Sidecar-Token is missing or wrong")
        came = fields.get(b"via")
        back = came is not None and (via in came or came.count(b"1.1 sidecar-") >= _MOST_SIDECARS)
        # Providers get no Via: of a call to one, the key that was made for it tells.
        if back or fields.get(b"idempotency-key", b"").startswith(via.removeprefix(b"1.1 ") + b"-"):
            return LoopDetected("the call has come back to where it was sent from")
        return None

    def _trusts(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self.trusted)


def ids_of(fields: Fields, ids: Ids) -> tuple[str, str]:
    """Request id and correlation id: as sent if sane, one sent fills both, else one new id."""
    request_id = sane(fields.get(b"x-request-id"))
    correlation_id = sane(fields.get(b"x-correlation-id"))
    request_id = request_id or correlation_id or ids.new()
    return request_id, correlation_id or request_id


def wishes(call: Call, now: float) -> Refused | None:
    """What the caller asks of us, written onto the call; a deadline is told as `caller_deadline`."""
    fields = call.fields
    if b"idempotency-key" in fields or fields.get(b"x-sidecar-idempotent", b"").lower() == b"true":
        call.idempotent = True
    call.retry = fields.get(b"x-sidecar-retry", b"").lower() != b"off"
    call.fallback = fields.get(b"x-sidecar-fallback", b"").lower() != b"off"
    asked = fields.get(b"x-sidecar-timeout")
    deadline = NO_DEADLINE
    if asked is not None:
        try:
            deadline = now + _seconds(asked.decode("latin-1"))
        except SettingError as error:
            return InvalidRequest(f"X-Sidecar-Timeout {error}; allowed: {error.allowed}")
    call.caller_deadline = min(call.caller_deadline, deadline)
    return None


def _seconds(text: str) -> float:
    """A duration as in the policy file, or a plain number of seconds."""
    return float(text) if text.replace(".", "", 1).isdecimal() else parse_duration(text)
