"""Whatever c-gateway does wrong: what a decide's caller gets, over HTTP and over gRPC, and that nobody kills it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from google.rpc import error_details_pb2, status_pb2

from sidecar.standins.c_gateway_faults import WELL, GatewayFault, GatewayKind
from tests.kit.beamline import BOTH, DECIDE, Answered, Beamline, a_gateway, beamline
from tests.kit.c_gateway import until
from tests.kit.caller import PATIENCE
from tests.kit.decides import REAL
from tests.kit.running import request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ALONE = ("c-gateway",)
BRIEF = "max_retry_after = 0"
"""c-gateway tells to come back in 30 or 60 s. That is waited for where nobody else is left, but not by a test."""

# What the caller gets when nobody else is there to ask: HTTP status, code in the error's body, gRPC status, attempts.
FAULTS: dict[GatewayKind, tuple[str, str, str, int]] = {
    GatewayKind.UNAVAILABLE: ("503", "unavailable", "UNAVAILABLE", 3),
    GatewayKind.TIMEOUT: ("503", "unavailable", "UNAVAILABLE", 3),
    GatewayKind.BACKPRESSURE: ("503", "service_overloaded", "UNAVAILABLE", 1),
    GatewayKind.RATE_LIMITED: ("429", "rate_limit_exceeded", "RESOURCE_EXHAUSTED", 1),
    GatewayKind.FALSE_EMPTY: ("400", "invalid_request", "INVALID_ARGUMENT", 2),
    GatewayKind.NOT_JSON: ("502", "upstream_protocol_error", "INTERNAL", 1),
    GatewayKind.ACK: ("502", "upstream_protocol_error", "INTERNAL", 1),
    GatewayKind.DEAD: ("502", "upstream_connect_failed", "UNAVAILABLE", 3),
    GatewayKind.RESET: ("502", "upstream_reset", "UNAVAILABLE", 3),
    GatewayKind.RESET_BODY: ("502", "upstream_reset", "UNAVAILABLE", 3),
    GatewayKind.CLOSE: ("502", "upstream_reset", "UNAVAILABLE", 3),
    GatewayKind.SHORT: ("502", "upstream_reset", "UNAVAILABLE", 3),
    GatewayKind.ROUTER_ERROR: ("404", "policy_not_found", "NOT_FOUND", 1),
}
ANSWERED_WELL = {GatewayKind.NONE, GatewayKind.SLOW}
OURS = ("upstream_protocol_error", "upstream_connect_failed", "upstream_reset")

# What the Router behind c-gateway may say: HTTP status, gRPC status, and whether the Router itself is asked after it.
ROUTER_ERRORS = {
    "invalid_request": ("400", "INVALID_ARGUMENT", False),
    "policy_not_found": ("404", "NOT_FOUND", False),
    "extension_not_found": ("404", "INTERNAL", False),
    "validator_blocked": ("200", "INTERNAL", False),
    "extension_timeout": ("200", "INTERNAL", True),
    "internal": ("500", "INTERNAL", True),
    "decision_failed": ("500", "INTERNAL", True),
    "extension_unavailable": ("503", "INTERNAL", True),
    "unavailable": ("200", "UNAVAILABLE", True),
    "rate_limit_exceeded": ("200", "RESOURCE_EXHAUSTED", True),
}


def fault(kind: GatewayKind) -> GatewayFault:
    return GatewayFault(kind, code="policy_not_found", delay=0.02)


def code_of(answered: Answered) -> str:
    """The code in an error's body; c-gateway's own says beside it that it is not ok."""
    code: str = answered.said["error"]["code"]
    ours = code in OURS
    assert answered.said.get("ok") is (None if ours else False)
    assert ("proxy-status" in answered.told) is ours
    return code


def test_every_fault_is_tried() -> None:
    assert set(GatewayKind) == FAULTS.keys() | ANSWERED_WELL


@pytest.mark.parametrize("kind", FAULTS)
async def test_over_http_with_nobody_else_to_ask(kind: GatewayKind) -> None:
    status, code, _, attempts = FAULTS[kind]
    async with beamline(http=ALONE, retry=BRIEF, gateway=a_gateway(fault(kind))) as here:
        answered = await here.http()
        assert (answered.status, code_of(answered), answered.attempts) == (status, code, attempts)
        assert not here.gateway.died


@pytest.mark.parametrize("kind", FAULTS)
async def test_over_grpc_with_nobody_else_to_ask(kind: GatewayKind) -> None:
    _, code, status, attempts = FAULTS[kind]
    async with beamline(grpc=ALONE, retry=BRIEF, gateway=a_gateway(fault(kind))) as here:
        answered = await here.rpc()
        assert (answered.status, answered.attempts) == (status, attempts)
        if code in OURS:
            info = error_details_pb2.ErrorInfo()
            assert status_pb2.Status.FromString(answered.details).details[0].Unpack(info)
            assert info.reason == code.upper()
        else:
            assert answered.said.startswith(f"{code}: ")
        assert not here.gateway.died


@pytest.mark.parametrize("kind", sorted(FAULTS.keys() - {GatewayKind.ROUTER_ERROR}))
async def test_the_router_saves_it_over_both(kind: GatewayKind) -> None:
    async with beamline(http=BOTH, grpc=BOTH, gateway=a_gateway(fault(kind))) as here:
        for answered in (await here.http(), await here.real(), await here.rpc()):
            assert (answered.well, answered.by) == (True, "router")
        assert here.router.calls == {"Decide": 3}
        assert not here.gateway.died


@pytest.mark.parametrize("kind", sorted(ANSWERED_WELL))
async def test_what_it_answers_well_is_its_own(kind: GatewayKind) -> None:
    async with beamline(http=BOTH, grpc=BOTH, gateway=a_gateway(fault(kind))) as here:
        for answered in (await here.http(), await here.real(), await here.rpc()):
            assert (answered.well, answered.by, answered.attempts) == (True, "c-gateway", 1)
        assert here.router.calls.total() == 0


@pytest.mark.parametrize("code", ROUTER_ERRORS)
async def test_the_routers_own_errors_through_c_gateway(code: str) -> None:
    http, rpc, _ = ROUTER_ERRORS[code]
    sick = GatewayFault(GatewayKind.ROUTER_ERROR, code=code)
    async with beamline(http=ALONE, grpc=ALONE, retry="tries = 1", gateway=a_gateway(sick)) as here:
        for answered in (await here.http(), await here.real()):
            assert (answered.status, answered.said["ok"], answered.said["error"]["code"]) == (http, False, code)
        answered = await here.rpc()
        assert (answered.status, answered.said) == (rpc, f"{code}: simulated {code}")


@pytest.mark.parametrize("code", ROUTER_ERRORS)
async def test_an_error_that_asking_again_cannot_mend_is_the_answer(code: str) -> None:
    _, _, goes_on = ROUTER_ERRORS[code]
    sick = GatewayFault(GatewayKind.ROUTER_ERROR, code=code)
    async with beamline(http=BOTH, grpc=BOTH, gateway=a_gateway(sick)) as here:
        for answered in (await here.http(), await here.rpc()):
            assert answered.by == ("router" if goes_on else "c-gateway")


async def leaves_over_http(here: Beamline) -> None:
    caller = await here.sidecar.caller()
    caller.send(request(DECIDE, "X-Tenant-ID: t", method="POST", body=b'{"task": {"type": "t", "payload": {"a": 1}}}'))
    await until(lambda: here.gateway.requests == 1)
    await caller.close()


async def leaves_over_grpc(here: Beamline) -> None:
    asked = asyncio.ensure_future(here.rpc())
    await until(lambda: here.gateway.requests == 1)
    asked.cancel()


async def gives_up_over_http(here: Beamline) -> None:
    assert (await here.http(REAL, "X-Sidecar-Timeout: 20ms")).status == "504"


async def gives_up_over_grpc(here: Beamline) -> None:
    assert (await here.rpc(seconds=0.05)).status == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("gone", [leaves_over_http, leaves_over_grpc, gives_up_over_http, gives_up_over_grpc])
async def test_a_caller_that_goes_in_the_middle_does_not_kill_it(gone: Callable[[Beamline], Awaitable[None]]) -> None:
    slow = GatewayFault(GatewayKind.SLOW, delay=0.2)
    async with beamline(http=ALONE, grpc=ALONE, gateway=a_gateway(slow)) as here:
        await gone(here)
        assert (await here.http()).well  # served behind the one whose answer nobody waits for
        assert (here.gateway.requests, here.gateway.deaths, here.gateway.most_at_once) == (2, 0, 1)


async def test_an_attempt_that_takes_too_long_goes_to_the_router_and_does_not_kill_it() -> None:
    slow = GatewayFault(GatewayKind.SLOW, delay=0.3)
    more = 'timeout = { attempt = "50ms" }'
    async with beamline(http=BOTH, grpc=BOTH, more=more, gateway=a_gateway(slow)) as here:
        for asked in (here.http, here.rpc):
            answered = await asked()
            assert (answered.well, answered.by) == (True, "router")
        await here.gateway.switch(WELL)
        async with asyncio.timeout(PATIENCE):
            while (await here.http()).by != "c-gateway":  # its slot is held until the late answer has come
                pass
        assert (here.gateway.deaths, here.gateway.most_at_once) == (0, 1)
