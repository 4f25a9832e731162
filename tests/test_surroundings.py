"""What a runtime is given besides its settings."""

from __future__ import annotations

import random
import time

from sidecar.surroundings import Surroundings
from sidecar.telemetry.start import telemetry_to
from tests.kit.running import Log


async def test_clocks_and_dice_are_the_real_ones_unless_told() -> None:
    log = Log()
    around = Surroundings(telemetry_to(log, version="0"), {}, b"1.1 sidecar-x")
    assert (around.clock, around.wall, around.rng) == (time.monotonic, time.time, random.random)
    log.close()
