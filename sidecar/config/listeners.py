"""What another policy file does to the listeners, as far as the files say it: nothing is opened here.

A listener with another address is opened there first, and closed where it was. One
that could not be bound while the old ones are, and what an open socket keeps, count
from the next start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidecar.settings import parse_address

if TYPE_CHECKING:
    from sidecar.settings import Settings, TlsServerSettings

LISTENERS = ("http", "grpc", "admin", "probe")


class Moved(NamedTuple):
    """A listener with another address, as in the file; an empty one is none."""

    listener: str
    before: str
    after: str


class Moves(NamedTuple):
    """What happens at once, and the keys that wait for the next start."""

    now: tuple[Moved, ...]
    next_start: tuple[str, ...]


def moves(before: Settings, after: Settings) -> Moves:
    """From one file to the other."""
    now: list[Moved] = []
    later: dict[str, None] = {}
    for name in LISTENERS:
        old, new = getattr(before.listen, name), getattr(after.listen, name)
        if old == new:
            is_fixed = fixed(name, before, before.limits.max_connections)
            to_be = fixed(name, after, after.limits.max_connections)
            later |= dict.fromkeys(key for key, value in to_be.items() if new and value != is_fixed[key])
        elif _collides(new, before):
            later[f"listen.{name}"] = None
        else:
            now.append(Moved(name, old, new))
    return Moves(tuple(now), tuple(later))


def fixed(name: str, settings: Settings, most: int) -> dict[str, object]:
    """What the listener of that name cannot change while it is open, by key. `most` connections at once."""
    listen, limits = settings.listen, settings.limits
    if name == "admin":
        return {"listen.admin_tls": _kind_of(listen.admin_tls)}
    if name == "grpc":  # options of grpcio's server
        return {
            "listen.grpc_tls": _kind_of(listen.grpc_tls),
            "limits.max_body_bytes": limits.max_body_bytes or limits.max_held_bytes,
            "limits.max_header_bytes": limits.max_header_bytes,
            "limits.max_connections": most,
        }
    return {}


def _kind_of(tls: TlsServerSettings | None) -> object:
    """Another certificate may come; whether there is TLS, and whom it lets in, stays."""
    return None if tls is None else tls.client_ca


def _collides(text: str, before: Settings) -> bool:
    """It cannot be bound while a listener of before is where it is."""
    address = parse_address(text)
    taken = (parse_address(getattr(before.listen, name)) for name in LISTENERS)
    return address is not None and any(address.collides(other) for other in taken if other is not None)
