"""The stand-in Router as a process and a port: faults, counts, life and death."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2

from sidecar.pb.beamline.flow.v1 import flow_pb2 as pb
from sidecar.standins.grpc_faults import HEALTHY, Fault, Kind
from sidecar.standins.router import StandIn
from tests.kit.caller import PATIENCE
from tests.kit.router_caller import KEY, calling, channel_to, route


async def test_it_counts_and_remembers_what_came() -> None:
    router = StandIn()
    async with calling(router) as caller:
        await caller.ask("Decide", route(), ("grpc-previous-rpc-attempts", "2"), ("x-two", "1"), ("x-two", "2"))
        await caller.refused("ListPolicies", pb.ListPoliciesRequest(tenant_id="demo"))
    assert router.calls == {"Decide": 1, "ListPolicies": 1}
    seen = router.last[0]
    assert (seen.method, seen.faulty) == ("Decide", False)
    assert ("grpc-previous-rpc-attempts", "2") in seen.metadata
    assert [value for name, value in seen.metadata if name == "x-two"] == ["1", "2"]


async def test_failing_it_spares_the_rest() -> None:
    router = StandIn(fault=Fault(Kind.FAIL, code="ABORTED", share=0.5))
    async with calling(router) as caller:
        await caller.ask("Decide", route())
        error = await caller.refused("Decide", route())
        assert (error.code(), error.details()) == (StatusCode.ABORTED, "router is unwell")
        await caller.ask("Decide", route())
    assert (router.calls["Decide"], router.faulty) == (3, 1)
    assert [seen.faulty for seen in router.last] == [False, True, False]


async def test_a_failure_may_have_words_of_its_own() -> None:
    async with calling(StandIn(fault=Fault(Kind.FAIL, code="INTERNAL", message="extension_timeout"))) as caller:
        error = await caller.refused("Decide", route())
    assert (error.code(), error.details()) == (StatusCode.INTERNAL, "extension_timeout")


@pytest.mark.parametrize(
    ("kind", "code"),
    [(Kind.THROTTLE, StatusCode.RESOURCE_EXHAUSTED), (Kind.UNAVAILABLE, StatusCode.UNAVAILABLE)],
)
async def test_it_says_when_to_come_back(kind: Kind, code: StatusCode) -> None:
    async with calling(StandIn(fault=Fault(kind, pushback=-1))) as caller:
        error = await caller.refused("Decide", route())
    assert error.code() is code
    assert tuple(error.trailing_metadata()) == (("grpc-retry-pushback-ms", "-1"),)


async def test_slow_it_answers_well_in_the_end() -> None:
    async with calling(StandIn(fault=Fault(Kind.SLOW, delay=0.05))) as caller:
        began = asyncio.get_running_loop().time()
        assert (await caller.ask("Decide", route())).provider_id
        assert asyncio.get_running_loop().time() - began >= 0.045


async def test_dead_nobody_listens_and_busy_calls_are_cut() -> None:
    router = StandIn(fault=Fault(Kind.SLOW, delay=3600))
    async with calling(router) as caller:
        waiting = asyncio.ensure_future(caller.refused("Decide", route()))
        async with asyncio.timeout(PATIENCE):
            await router.arrived.wait()
            await router.switch(Fault(Kind.DEAD))
            assert (await waiting).code() is StatusCode.UNAVAILABLE
            assert (await caller.refused("Decide", route())).code() is StatusCode.UNAVAILABLE
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(router.host, router.port)


async def test_dead_it_comes_back_at_the_same_port() -> None:
    router = StandIn(fault=Fault(Kind.DEAD))
    async with router:
        target = router.target
        await router.switch(HEALTHY)
        assert router.target == target
        async with channel_to(target) as caller:
            assert (await caller.ask("Decide", route())).provider_id


async def test_a_fault_that_lasts_ends_by_itself() -> None:
    async with calling(StandIn()) as caller, StandIn(fault=Fault(Kind.DEAD, lasts=0.01)) as router:
        assert router._switching.later is not None
        await router._switching.later
        assert router.fault == HEALTHY
        async with channel_to(router.target) as other:
            assert (await other.ask("Decide", route())).provider_id
        assert (await caller.ask("Decide", route())).provider_id


async def test_a_dead_router_keeps_what_it_knew() -> None:
    router = StandIn()
    async with calling(router) as caller:
        kept = pb.UpsertPolicyRequest(tenant_id="demo", policy=pb.AdminPolicy(policy_id="p", fallback="mine"))
        await caller.ask("UpsertPolicy", kept, KEY)
        await router.switch(Fault(Kind.DEAD))
        await router.switch(HEALTHY)
        async with channel_to(router.target) as later:
            assert (await later.ask("Decide", route("p"))).provider_id == "mine"


async def test_a_taken_port_is_a_mistake_and_not_shared() -> None:
    async with StandIn() as first:
        second = StandIn(port=first.port)
        with pytest.raises(RuntimeError, match="Failed to bind"):
            await second.start()


async def test_a_taken_control_port_leaves_nothing_open() -> None:
    async with StandIn(control=0) as first:
        assert first.control is not None
        second = StandIn(control=first.control.port)
        with pytest.raises(OSError, match="address already in use"):
            await second.start()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(second.host, second.port)


async def test_switches_at_the_same_moment_take_turns() -> None:
    async with StandIn() as router:
        dead = Fault(Kind.DEAD)
        await asyncio.gather(*(router.switch(fault) for fault in (dead, HEALTHY, dead, HEALTHY, HEALTHY)))
        async with channel_to(router.target) as caller:
            assert (await caller.ask("Decide", route())).provider_id


async def test_health_goes_on_while_calls_fail() -> None:
    async with calling(StandIn(fault=Fault(Kind.FAIL))) as caller:
        check: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
        check = caller.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        for name in ("", "beamline.flow.v1.Router", "beamline.flow.v1.RouterAdmin"):
            answer = await check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await check(health_pb2.HealthCheckRequest(service="nobody"))
        assert error.value.code() is StatusCode.NOT_FOUND


async def test_any_other_method_is_unimplemented() -> None:
    router = StandIn()
    async with calling(router) as caller:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        method = caller.channel.unary_unary("/beamline.flow.v1.RouterService/Decide")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await method(b"", timeout=20)
    assert error.value.code() is StatusCode.UNIMPLEMENTED
    assert router.calls.total() == 0


async def test_a_message_may_be_larger_than_grpcio_would_have_it() -> None:
    async with calling(StandIn()) as caller:
        asked = route()
        asked.message.payload = bytes(5 << 20)
        assert (await caller.ask("Decide", asked)).provider_id


async def test_the_command_says_what_to_try_and_ends_on_a_signal() -> None:
    options = ("--name", "core", "--fault", "fail:code=ABORTED", "--api-key", "another-key-for-this")
    command = (sys.executable, "-m", "sidecar.standins.router", *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            name, target, kind = (await process.stdout.readline()).decode().split()
            said = (await process.stdout.readuntil(b"/_calls\n")).decode()
        assert (name, kind) == ("core", "fail")
        control = said.rpartition("/_calls")[0].rpartition(" ")[2]
        async with channel_to(target) as caller:
            assert (await caller.refused("Decide", route())).code() is StatusCode.ABORTED
            async with aiohttp.ClientSession() as curl:
                await curl.post(f"{control}/_fault", json={"kind": "none"})
            asked = pb.ListPoliciesRequest(tenant_id="demo")
            assert (await caller.ask("ListPolicies", asked, ("x-api-key", "another-key-for-this"))).total == 2
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
