"""A stand-in service for the length of a `with`."""

from __future__ import annotations

from typing import Self

from sidecar.standins import http
from sidecar.standins.faults import HEALTHY, Fault


class StandIn(http.StandIn):
    """Started when entered, stopped when left."""

    def __init__(self, name: str = "upstream", fault: Fault = HEALTHY) -> None:
        super().__init__(name, fault=fault)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
