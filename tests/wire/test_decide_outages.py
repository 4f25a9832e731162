"""Killing c-gateway, then the Router, then both, while decides go on over HTTP and over gRPC.

What the chain can save is not lost, a call that is under way included; the rest gets a
clear error in the shape of its caller.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from google.rpc import error_details_pb2, status_pb2

from sidecar.standins import c_gateway_faults, grpc_faults
from sidecar.standins.c_gateway_faults import GatewayFault, GatewayKind
from sidecar.standins.grpc_faults import Fault, Kind
from sidecar.standins.router import StandIn
from tests.kit.beamline import BOTH, Answered, Beamline, a_gateway, beamline
from tests.kit.c_gateway import until
from tests.kit.decides import DOCUMENTED, REAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

GATEWAY_DEAD = GatewayFault(GatewayKind.DEAD)
GATEWAY_WELL = c_gateway_faults.WELL
ROUTER_DEAD = Fault(Kind.DEAD)
ROUTER_WELL = grpc_faults.HEALTHY
QUICK_TO_TRUST = 'circuit_breaker = { recovery_first = "20ms", recovery_timeout = "20ms", success_threshold = 1 }'
KINDS = ("documented", "real", "grpc")
AT_LEAST = 20
"""Decides of each kind that are answered before the next trouble."""


@dataclass
class Traffic:
    """Three callers that never pause; what came back to each, and in which phase it was asked."""

    here: Beamline
    phase: str = "all is well"
    over: bool = False
    seen: list[tuple[str, str, Answered]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def steady(self, kind: str, ask: Callable[[], Awaitable[Answered]]) -> None:
        while not self.over:
            began = self.phase
            answered = await ask()
            self.seen.append((kind, began, answered))
            self.came.set()

    async def goes_on(self) -> None:
        """Wait until each caller has so many answers to what it asked in this phase."""
        async with asyncio.timeout(30):
            while any(len(self.of(kind)) < AT_LEAST for kind in KINDS):
                self.came.clear()
                await self.came.wait()

    def of(self, kind: str) -> list[Answered]:
        """What was asked in this phase."""
        return [answered for whose, began, answered in self.seen if (whose, began) == (kind, self.phase)]

    def by(self, kind: str) -> set[str]:
        return {answered.by for answered in self.of(kind)}


@asynccontextmanager
async def traffic(here: Beamline) -> AsyncIterator[Traffic]:
    going = Traffic(here)
    asks: tuple[Callable[[], Awaitable[Answered]], ...] = (here.http, here.real, here.rpc)
    async with asyncio.TaskGroup() as callers:
        for kind, ask in zip(KINDS, asks, strict=True):
            callers.create_task(going.steady(kind, ask))
        try:
            yield going
        finally:
            going.over = True


async def test_steady_decides_outlive_c_gateway_then_the_router_then_both() -> None:
    async with beamline(more=QUICK_TO_TRUST, gateway=a_gateway(decides=1_000_000)) as here, traffic(here) as going:
        await going.goes_on()
        assert going.by("documented") == going.by("real") == {"c-gateway"}
        assert going.by("grpc") == {"router"}

        going.phase = "c-gateway is dead"
        await here.gateway.switch(GATEWAY_DEAD)
        await going.goes_on()
        assert "router" in going.by("documented") & going.by("real")
        assert going.by("grpc") == {"router"}

        going.phase = "c-gateway is back"
        await here.gateway.switch(GATEWAY_WELL)
        await here.until_trusted("c-gateway")
        await going.goes_on()

        going.phase = "the Router is dead"
        await here.router.switch(ROUTER_DEAD)
        await going.goes_on()
        assert going.by("documented") == going.by("real") == {"c-gateway"}
        assert "c-gateway" in going.by("grpc")

        assert [seen for seen in going.seen if not seen[2].well] == []  # none of them was lost

        going.phase = "both are dead"
        await here.gateway.switch(GATEWAY_DEAD)
        await going.goes_on()
        for kind in ("documented", "real"):
            told = {(answered.status, answered.by, str(answered.said)) for answered in going.of(kind)}
            assert told == {("503", "static", "{'error': {'message': 'all providers are down'}}")}
        told = {(answered.status, answered.by, answered.said) for answered in going.of("grpc")}
        assert told == {("UNAVAILABLE", "static", "all providers are down")}

        going.phase = "both are coming back"
        await here.gateway.switch(GATEWAY_WELL)
        await here.router.switch(ROUTER_WELL)
        await here.until_trusted("c-gateway")
        await here.until_trusted("router")
        going.phase = "all is well again"
        await going.goes_on()
        assert all(answered.well for kind in KINDS for answered in going.of(kind))
        assert here.gateway.deaths == 0


@pytest.mark.parametrize("document", [DOCUMENTED, REAL])
async def test_a_decide_that_c_gateway_had_when_it_died(document: dict[str, object]) -> None:
    slow = a_gateway(GatewayFault(GatewayKind.SLOW, delay=30))
    async with beamline(gateway=slow) as here:
        asked = asyncio.ensure_future(here.http(document))
        await until(lambda: here.gateway.requests == 1)
        await here.gateway.switch(GATEWAY_DEAD)
        answered = await asked
    assert (answered.status, answered.by) == ("200", "router")
    decision = answered.said if document is DOCUMENTED else answered.said["decision"]
    assert decision["provider_id"] in {"openai", "anthropic"}


async def test_a_decide_that_the_router_had_when_it_died() -> None:
    slow = StandIn(fault=Fault(Kind.SLOW, delay=30))
    async with beamline(router=slow) as here:
        asked = asyncio.ensure_future(here.rpc())
        await slow.arrived.wait()
        await slow.switch(ROUTER_DEAD)
        answered = await asked
    assert (answered.status, answered.by, answered.said.provider_id) == ("OK", "c-gateway", "provider-1")


async def test_without_a_static_link_the_error_is_the_sidecars_own() -> None:
    """The first target that was tried is named, then, when its breaker is open, that it is not even tried."""
    opens = "circuit_breaker = { failure_threshold = 3 }"
    async with beamline(http=BOTH, grpc=("router", "c-gateway"), more=opens) as here:
        await here.gateway.switch(GATEWAY_DEAD)
        await here.router.switch(ROUTER_DEAD)
        first = await here.http()
        assert (first.status, first.said["error"]["code"]) == ("502", "upstream_connect_failed")
        assert first.said["error"]["message"].startswith("c-gateway: ")
        second = await here.http()
        assert (second.status, second.said["error"]["code"]) == ("503", "circuit_open")
        assert int(second.told["retry-after"]) >= 1
        third = await here.rpc()
        assert third.status == "UNAVAILABLE"
        details = status_pb2.Status.FromString(third.details).details
        info, later = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        assert details[0].Unpack(info)
        assert details[1].Unpack(later)
        assert (info.reason, info.domain) == ("CIRCUIT_OPEN", "sidecar")
        assert later.retry_delay.ToMilliseconds() > 0


async def test_what_only_the_router_can_do_is_refused_at_once_when_it_is_dead() -> None:
    async with beamline(grpc=("router", "c-gateway")) as here:
        await here.router.switch(ROUTER_DEAD)
        error = await here.caller.refused("GetCheckpointStatus", b"", ("x-api-key", "beamline-demo-key"))
        assert error.code().name == "UNAVAILABLE"
        assert (error.details() or "").startswith("router: ")
        assert here.gateway.requests == 0
