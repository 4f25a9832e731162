"""What a reload would do, found by doing it where nobody listens.

Both runtimes are built by the code of a real reload, the second on the parts of
the first. Neither begins: no socket is opened, no task started, nobody asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.config.listeners import Moves, moves
from sidecar.config.outside import outside
from sidecar.parts import Turnover, turnover
from sidecar.runtime import build
from sidecar.surroundings import Surroundings
from sidecar.telemetry.log_writer import LogWriter
from sidecar.telemetry.start import telemetry_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.config import Loaded
    from sidecar.runtime import Runtime

_NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What becomes of the parts and the listeners."""

    parts: Turnover
    moves: Moves


async def rehearse(before: Loaded, after: Loaded, environ: Mapping[str, str]) -> Rehearsal:
    """What a reload from one to the other would do. Raises `ConfigError` for a certificate that cannot be used."""
    writer = LogWriter(_NOWHERE)
    around = Surroundings(telemetry_to(writer, version=""), environ, b"1.1 sidecar")
    runtimes: list[Runtime] = []
    try:
        for loaded in (before, after):
            runtimes.append(await _built(loaded, around, runtimes[-1] if runtimes else None))
        parts = turnover(runtimes[0].parts, runtimes[1].parts)
    finally:
        for runtime in runtimes:
            await runtime.aclose()
        writer.close()
    return Rehearsal(parts, moves(before.settings, after.settings))


async def _built(loaded: Loaded, around: Surroundings, before: Runtime | None) -> Runtime:
    try:
        return await build(loaded.settings, around, before, loaded.files)
    except OSError as error:
        raise outside(loaded, error) from error
