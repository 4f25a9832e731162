"""What a runtime is given besides its settings."""

from __future__ import annotations

import platform
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidecar.telemetry.observers import Telemetry


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a runtime is given besides its settings. `clock` is the loop's, in seconds."""

    telemetry: Telemetry
    environ: Mapping[str, str]
    via: bytes
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    rng: Callable[[], float] = random.random
    machine: str = field(default_factory=platform.node)
    """Whose loopback this is: a container's or a pod's own name, elsewhere the host's."""

    @property
    def sender(self) -> str:
        """What this process is called among other sidecars: random, and what `Via` shows."""
        return self.via.removeprefix(b"1.1 ").decode()
