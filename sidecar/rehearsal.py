"""What a reload would do, found by doing it where nobody listens.

Both runtimes are built by the code of a real reload, the second on the parts of
the first. Neither begins: no socket is opened, no task started, nobody asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sidecar.config.places import dotted
from sidecar.errors import ConfigError, Mistake
from sidecar.parts import Turnover, turnover
from sidecar.runtime import build
from sidecar.surroundings import Surroundings
from sidecar.telemetry.log_writer import LogWriter
from sidecar.telemetry.start import telemetry_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.config import Loaded
    from sidecar.runtime import Runtime
    from sidecar.settings import Settings, TlsServerSettings

LISTENERS = ("http", "grpc", "admin", "probe")
_NOWHERE = -1


class Moved(NamedTuple):
    """A listener with another address; an empty one is none."""

    listener: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What becomes of the parts and the listeners; `next_start` are keys that count from then on only."""

    parts: Turnover
    moved: tuple[Moved, ...]
    next_start: tuple[str, ...]


async def rehearse(before: Loaded, after: Loaded, environ: Mapping[str, str]) -> Rehearsal:
    """What a reload from one to the other would do. Raises `ConfigError` for a certificate that cannot be used."""
    writer = LogWriter(_NOWHERE)
    around = Surroundings(telemetry_to(writer, version=""), environ, b"1.1 sidecar")
    runtimes: list[Runtime] = []
    try:
        for loaded in (before, after):
            runtimes.append(await _built(loaded, around, runtimes[-1] if runtimes else None))
        old, new = (runtime.settings for runtime in runtimes)
        parts = turnover(runtimes[0].parts, runtimes[1].parts)
    finally:
        for runtime in runtimes:
            await runtime.aclose()
        writer.close()
    return Rehearsal(parts, moved(old, new), next_start(old, new))


async def _built(loaded: Loaded, around: Surroundings, before: Runtime | None) -> Runtime:
    try:
        return await build(loaded.settings, around, before, loaded.files)
    except OSError as error:
        raise unusable(loaded, error) from error


def unusable(loaded: Loaded, error: OSError) -> ConfigError:
    """A certificate or an address that cannot be used is a mistake of the file's. Its text begins with the key."""
    key, _, problem = str(error.args[-1]).partition(": ")
    lines = {dotted(place): line for place, line in loaded.lines.items()}
    return ConfigError([Mistake(str(loaded.path), lines.get(key, 1), key, problem)])


def moved(before: Settings, after: Settings) -> tuple[Moved, ...]:
    """Listeners that are opened, closed, or opened elsewhere before the old one is closed."""
    each = ((name, getattr(before.listen, name), getattr(after.listen, name)) for name in LISTENERS)
    return tuple(Moved(name, old, new) for name, old, new in each if old != new)


def next_start(before: Settings, after: Settings) -> tuple[str, ...]:
    """Keys that an open socket keeps until the process starts again; one that moves has the new ones at once."""
    keys: dict[str, None] = {}
    gone = {name for name, _, _ in moved(before, after)}
    for name in (name for name in LISTENERS if name not in gone and getattr(after.listen, name)):
        old, new = fixed(name, before), fixed(name, after)
        keys |= dict.fromkeys(key for key, value in new.items() if value != old[key])
    return tuple(keys)


def fixed(name: str, settings: Settings) -> dict[str, object]:
    """What a listener of that name cannot change while it is open, by key."""
    listen, limits = settings.listen, settings.limits
    if name == "admin":
        return {"listen.admin_tls": _kind_of(listen.admin_tls)}
    if name == "grpc":  # options of grpcio's server
        return {
            "listen.grpc_tls": _kind_of(listen.grpc_tls),
            "limits.max_body_bytes": limits.max_body_bytes or limits.max_held_bytes,
            "limits.max_header_bytes": limits.max_header_bytes,
            "limits.max_connections": limits.max_connections,
        }
    return {}


def _kind_of(tls: TlsServerSettings | None) -> object:
    """Another certificate may come; whether there is TLS, and whom it lets in, stays."""
    return None if tls is None else tls.client_ca
