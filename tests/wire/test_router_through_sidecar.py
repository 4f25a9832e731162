"""Each of the Router's eleven methods through the sidecar: its answer, and every error that is documented for it.

What a caller sees is what the Router itself would have told it: message, code, text.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import grpc.aio
import pytest

from sidecar.pb.beamline.flow.v1 import flow_pb2 as pb
from sidecar.standins.grpc_faults import Fault, Kind
from tests.kit.beamline import beamline
from tests.kit.router_caller import KEY, METHODS, channel_to, route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from google.protobuf.message import Message

    from tests.kit.beamline import Beamline
    from tests.kit.router_caller import RouterCaller

READ_KEY = ("x-api-key", "beamline-read-key")
WRONG_KEY = ("x-api-key", "not-the-key-at-all")
ADMIN = sorted(METHODS.keys() - {"Decide"})
TENANT: dict[str, Any] = {"tenant_id": "demo"}
NAMED: dict[str, Any] = {"tenant_id": "demo", "policy_id": "default"}
UNKNOWN: dict[str, Any] = {"tenant_id": "demo", "policy_id": "nobody's"}


def policy(policy_id: str = "mine", **more: Any) -> pb.AdminPolicy:
    providers = [pb.AdminProvider(id="a", weight=0.5), pb.AdminProvider(id="b", weight=0.5)]
    return pb.AdminPolicy(**{"policy_id": policy_id, "providers": providers, **more})


def upsert(**more: Any) -> pb.UpsertPolicyRequest:
    return pb.UpsertPolicyRequest(tenant_id="demo", policy=policy(**more))


class Answers(NamedTuple):
    """A method, what it is asked, and what is true of its answer."""

    method: str
    asked: Message
    holds: Callable[[Any], bool]


class Refuses(NamedTuple):
    """A method, what it is asked with which key, and the status with the word that its text begins with."""

    method: str
    asked: Message
    code: str
    word: str
    key: tuple[str, str] = KEY


WELL = [
    Answers("Decide", route(), lambda said: said.provider_id in {"openai", "anthropic"} and said.reason == "weighted"),
    Answers("UpsertPolicy", upsert(), lambda said: said.ok and said.created and said.policy.tenant_id == "demo"),
    Answers("DeletePolicy", pb.DeletePolicyRequest(**NAMED), lambda said: said.ok and said.deleted),
    Answers("DeletePolicy", pb.DeletePolicyRequest(**UNKNOWN), lambda said: not said.deleted),
    Answers("GetPolicy", pb.GetPolicyRequest(**NAMED), lambda said: said.policy.fallback == "local"),
    Answers("ListPolicies", pb.ListPoliciesRequest(**TENANT), lambda said: said.total == len(said.policies) == 2),
    Answers("GetCheckpointStatus", pb.GetCheckpointStatusRequest(), lambda said: said.status.current_cp == "CP1"),
    Answers("GetValidatorsHealth", pb.GetValidatorsHealthRequest(), lambda said: len(said.validators) == 2),
    Answers("GetExtensionHealth", pb.GetExtensionHealthRequest(), lambda said: len(said.extensions) == 2),
    Answers("GetCircuitBreakerStates", pb.GetCircuitBreakerStatesRequest(), lambda said: list(said.states) == []),
    Answers("DryRunPipeline", pb.DryRunPipelineRequest(**NAMED, payload=b"{}"), lambda said: said.ok and said.steps),
    Answers("GetPipelineComplexity", pb.GetPipelineComplexityRequest(**NAMED), lambda said: said.level == "low"),
]
READS = [row for row in WELL if row.method.startswith(("Get", "List"))]

DOUBLED = [pb.AdminProvider(id="a", weight=0.5), pb.AdminProvider(id="a", weight=0.5)]
BELOW_NOTHING = [pb.AdminProvider(id="a", weight=-1)]
UNWELL = [
    Refuses("Decide", pb.RouteRequest(), "INVALID_ARGUMENT", "missing_message"),
    Refuses("Decide", route(tenant=""), "INVALID_ARGUMENT", "missing_tenant_id"),
    Refuses("Decide", route(kind=""), "INVALID_ARGUMENT", "invalid_request"),
    Refuses("Decide", route("nobody's"), "NOT_FOUND", "policy_not_found"),
    Refuses("UpsertPolicy", upsert(providers=DOUBLED), "INVALID_ARGUMENT", "invalid_policy"),
    Refuses("UpsertPolicy", upsert(providers=BELOW_NOTHING), "INVALID_ARGUMENT", "invalid_policy"),
    Refuses("UpsertPolicy", pb.UpsertPolicyRequest(**TENANT), "INVALID_ARGUMENT", "invalid_policy"),
    Refuses("UpsertPolicy", upsert(), "PERMISSION_DENIED", "permission_denied", READ_KEY),
    Refuses("DeletePolicy", pb.DeletePolicyRequest(**NAMED), "PERMISSION_DENIED", "permission_denied", READ_KEY),
    Refuses("GetPolicy", pb.GetPolicyRequest(**UNKNOWN), "NOT_FOUND", "policy_not_found"),
    Refuses("DryRunPipeline", pb.DryRunPipelineRequest(**UNKNOWN), "NOT_FOUND", "policy_not_found"),
    Refuses("GetPipelineComplexity", pb.GetPipelineComplexityRequest(**UNKNOWN), "NOT_FOUND", "policy_not_found"),
    Refuses("ListPolicies", pb.ListPoliciesRequest(), "INVALID_ARGUMENT", "missing_tenant_id"),
    *(Refuses(method, pb.RouteRequest(), "UNAUTHENTICATED", "unauthenticated", WRONG_KEY) for method in ADMIN),
]


@asynccontextmanager
async def both_ways() -> AsyncIterator[tuple[Beamline, RouterCaller]]:
    """The sidecar, and a caller that goes to the Router directly."""
    async with beamline() as here, channel_to(here.router.target) as direct:
        yield here, direct


def test_all_eleven_are_asked() -> None:
    assert len(METHODS) == 11
    assert {row.method for row in WELL} == {row.method for row in UNWELL} | {"GetCheckpointStatus"} == set(METHODS)


@pytest.mark.parametrize("row", WELL, ids=lambda row: row.method)
async def test_it_answers(row: Answers) -> None:
    async with beamline() as here:
        said = await here.caller.ask(row.method, row.asked, KEY)
        assert row.holds(said), said
        assert here.router.calls == {row.method: 1}


@pytest.mark.parametrize("row", UNWELL, ids=lambda row: f"{row.method}-{row.word}")
async def test_it_refuses_as_the_router_does(row: Refuses) -> None:
    async with both_ways() as (here, direct):
        error = await here.caller.refused(row.method, row.asked, row.key)
        assert error.code().name == row.code
        assert (error.details() or "").startswith(f"{row.word}: ")
        told = await direct.refused(row.method, row.asked, row.key)
        assert (error.code(), error.details()) == (told.code(), told.details())
        assert here.router.calls == {row.method: 2}  # such an answer is not asked for twice


async def test_a_decide_whom_nobody_can_serve_is_internal_and_c_gateways_to_try() -> None:
    async with beamline(grpc=("router",)) as here:
        await here.caller.ask("UpsertPolicy", upsert(providers=[]), KEY)
        error = await here.caller.refused("Decide", route("mine"))
        assert (error.code().name, error.details()) == (
            "INTERNAL",
            "no_provider_available: mine has nobody left to ask",
        )
    async with beamline() as here:
        await here.caller.ask("UpsertPolicy", upsert(providers=[]), KEY)
        assert (await here.rpc(route("mine"))).by == "c-gateway"


async def test_a_decide_over_its_policys_limit_is_resource_exhausted_and_c_gateways_to_try() -> None:
    async with beamline(grpc=("router",)) as here:
        await here.caller.ask("UpsertPolicy", upsert(metadata={"rate_limit": "1"}), KEY)
        await here.caller.ask("Decide", route("mine"))
        error = await here.caller.refused("Decide", route("mine"))
        assert error.code().name == "RESOURCE_EXHAUSTED"
        assert (error.details() or "").startswith("rate_limit_exceeded: ")
    async with beamline() as here:
        await here.caller.ask("UpsertPolicy", upsert(metadata={"rate_limit": "1"}), KEY)
        assert [(await here.rpc(route("mine"))).by for _ in range(2)] == ["router", "c-gateway"]


async def test_what_was_written_is_what_is_read() -> None:
    async with beamline() as here:
        ask = here.caller.ask
        await ask("UpsertPolicy", upsert(sticky=True, fallback="c"), KEY)
        kept = (await ask("GetPolicy", pb.GetPolicyRequest(tenant_id="demo", policy_id="mine"), READ_KEY)).policy
        assert (kept.sticky, kept.fallback, [one.id for one in kept.providers]) == (True, "c", ["a", "b"])
        assert (await ask("UpsertPolicy", upsert(), KEY)).created is False
        chosen = {(await ask("Decide", route("mine", session_id="s"))).provider_id for _ in range(5)}
        assert chosen <= {"a", "b"}
        assert (await ask("DeletePolicy", pb.DeletePolicyRequest(tenant_id="demo", policy_id="mine"), KEY)).deleted
        page = await ask("ListPolicies", pb.ListPoliciesRequest(tenant_id="demo", limit=1, offset=1), KEY)
        assert ([one.policy_id for one in page.policies], page.total) == (["demo-policy"], 2)


async def test_breakers_of_the_router_are_told_as_they_are() -> None:
    async with beamline() as here:
        here.router.service.set_down(["openai"])
        await here.caller.ask("Decide", route())
        said = await here.caller.ask("GetCircuitBreakerStates", pb.GetCircuitBreakerStatesRequest(), KEY)
        states = {state.provider_id: (state.state, state.tenant_id) for state in said.states}
        assert states == {"openai": ("open", "demo"), "anthropic": ("closed", "demo")}


async def test_a_decide_that_names_no_policy_gets_the_default_one() -> None:
    """The Router itself would not find a policy without a name."""
    async with both_ways() as (here, direct):
        assert (await direct.refused("Decide", route(""))).code().name == "NOT_FOUND"
        assert (await here.caller.ask("Decide", route(""))).provider_id in {"openai", "anthropic"}


async def test_a_correlation_id_does_not_crash_the_router() -> None:
    """The Router itself fails on a decide that has one, and every call through a sidecar has one."""
    async with both_ways() as (here, direct):
        mine = ("x-correlation-id", "order-17")
        assert (await direct.refused("Decide", route(), mine)).code().name == "INTERNAL"
        answered = await here.rpc(route(), mine)
        assert (answered.status, answered.by, answered.told["x-correlation-id"]) == ("OK", "router", "order-17")


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("UpsertPolicy", upsert()),
        ("DeletePolicy", pb.DeletePolicyRequest(**NAMED)),
        ("DryRunPipeline", pb.DryRunPipelineRequest(**NAMED)),
    ],
)
async def test_what_may_change_something_is_sent_once(method: str, asked: Message) -> None:
    async with beamline() as here:
        await here.router.switch(Fault(Kind.FAIL, code="UNAVAILABLE"))
        error = await here.caller.refused(method, asked, KEY)
        assert (error.code().name, error.details()) == ("UNAVAILABLE", "router is unwell")
        assert here.router.calls == {method: 1}


@pytest.mark.parametrize("row", READS, ids=lambda row: row.method)
async def test_what_only_reads_is_sent_again(row: Answers) -> None:
    async with beamline() as here:
        await here.router.switch(Fault(Kind.FAIL, code="UNAVAILABLE", share=0.5))
        for _ in range(2):
            assert row.holds(await here.caller.ask(row.method, row.asked, KEY))
        assert (here.router.faulty, here.router.calls) == (1, {row.method: 3})


async def test_a_method_that_there_is_not() -> None:
    async with beamline(grpc=("router", "c-gateway")) as here:
        undo: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        undo = here.caller.channel.unary_unary("/beamline.flow.v1.Router/Undo")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await undo(b"", timeout=20)
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
