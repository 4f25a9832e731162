"""Each of the Router's eleven methods over a real channel: its answer, and every status that is documented for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpc import StatusCode

from sidecar.pb.beamline.flow.v1 import flow_pb2 as pb
from sidecar.standins.router import StandIn
from sidecar.standins.router_access import Access
from sidecar.standins.router_service import RouterService
from tests.kit.router_caller import KEY, METHODS, calling, route

if TYPE_CHECKING:
    from google.protobuf.message import Message

ADMIN = sorted(set(METHODS) - {"Decide"})
NOT_BYTES_OF_A_MESSAGE = b"\x0a\xff\xff\xff"


def policy(policy_id: str = "p", **more: object) -> pb.AdminPolicy:
    providers = [pb.AdminProvider(id="a", weight=0.5), pb.AdminProvider(id="b", weight=0.5)]
    return pb.AdminPolicy(policy_id=policy_id, **{"providers": providers, **more})  # type: ignore[arg-type]  # a test's own


async def test_decide_by_weight() -> None:
    async with calling(StandIn()) as caller:
        decision = await caller.ask("Decide", route(session_id="s1"))
    assert decision.provider_id in {"openai", "anthropic"}
    assert (decision.reason, decision.priority) == ("weighted", 50)
    assert (decision.expected_latency_ms, decision.expected_cost) == (0, 0.0)
    assert dict(decision.metadata) == {"tenant_id": "demo", "executed_extensions": "", "session_id": "s1"}


async def test_decide_sticks_across_a_restart() -> None:
    chosen = set()
    for _ in range(3):
        async with calling(StandIn()) as caller:
            decision = await caller.ask("Decide", route("demo-policy", session_id="s1"))
            chosen.add((decision.provider_id, decision.reason))
    assert len(chosen) == 1
    assert {reason for _, reason in chosen} == {"sticky"}


async def test_decide_by_a_rule_and_its_fallback() -> None:
    router = StandIn()
    async with calling(router) as caller:
        decision = await caller.ask("Decide", route("demo-policy", kind="code.review"))
        assert (decision.provider_id, decision.reason) == ("anthropic", "weighted")
        router.service.set_down(["anthropic"])
        decision = await caller.ask("Decide", route("demo-policy", kind="code.review"))
        assert (decision.provider_id, decision.reason, decision.priority) == ("local", "fallback", 25)


@pytest.mark.parametrize(
    ("asked", "code", "word"),
    [
        (NOT_BYTES_OF_A_MESSAGE, StatusCode.INVALID_ARGUMENT, "invalid_request"),
        (pb.RouteRequest(), StatusCode.INVALID_ARGUMENT, "missing_message"),
        (pb.RouteRequest(policy_id="default"), StatusCode.INVALID_ARGUMENT, "missing_message"),
        (route(tenant=""), StatusCode.INVALID_ARGUMENT, "missing_tenant_id"),
        (route(kind=""), StatusCode.INVALID_ARGUMENT, "invalid_request"),
        (pb.RouteRequest(message=pb.Message(tenant_id="demo", message_type="x")), StatusCode.INVALID_ARGUMENT, "inv"),
        (route("nobody's"), StatusCode.NOT_FOUND, "policy_not_found"),
        (route(""), StatusCode.NOT_FOUND, "policy_not_found"),
    ],
)
async def test_decide_refuses(asked: Message | bytes, code: StatusCode, word: str) -> None:
    async with calling(StandIn()) as caller:
        error = await caller.refused("Decide", asked)
    assert (error.code(), (error.details() or "").startswith(word)) == (code, True)
    assert not tuple(error.trailing_metadata())


async def test_decide_without_any_provider_is_internal() -> None:
    async with calling(StandIn()) as caller:
        await caller.ask("UpsertPolicy", pb.UpsertPolicyRequest(tenant_id="demo", policy=policy(providers=[])), KEY)
        error = await caller.refused("Decide", route("p"))
    assert (error.code(), (error.details() or "").split(":")[0]) == (StatusCode.INTERNAL, "no_provider_available")


async def test_decide_over_the_policys_limit_tells_no_time() -> None:
    now = [600.0]
    async with calling(StandIn(service=RouterService(clock=lambda: now[0]))) as caller:
        limited = pb.UpsertPolicyRequest(tenant_id="demo", policy=policy(metadata={"rate_limit": "2"}))
        await caller.ask("UpsertPolicy", limited, KEY)
        for _ in range(2):
            await caller.ask("Decide", route("p"))
        error = await caller.refused("Decide", route("p"))
        assert error.code() is StatusCode.RESOURCE_EXHAUSTED
        assert error.details() == "rate_limit_exceeded: p takes 2 decides a minute"
        assert not tuple(error.trailing_metadata())
        await caller.ask("Decide", route())
        now[0] += 60
        await caller.ask("Decide", route("p"))


@pytest.mark.parametrize("name", ["x-correlation-id", "correlation-id"])
async def test_decide_crashes_on_a_correlation_id_unless_told_not_to(name: str) -> None:
    async with calling(StandIn()) as caller:
        error = await caller.refused("Decide", route(), (name, "c-1"))
        assert error.code() is StatusCode.INTERNAL
        assert (error.details() or "").count("\n") == 2
    async with calling(StandIn(service=RouterService(breaks_on_correlation_id=False))) as caller:
        assert (await caller.ask("Decide", route(), (name, "c-1"))).provider_id


async def test_upsert_says_what_is_kept_and_whether_it_is_new() -> None:
    async with calling(StandIn()) as caller:
        asked = pb.UpsertPolicyRequest(tenant_id="demo", policy=policy(version="1", escalate_on=["timeout"]))
        first = await caller.ask("UpsertPolicy", asked, KEY)
        assert (first.ok, first.created, first.policy.version, first.policy.tenant_id) == (True, True, "1", "demo")
        assert list(first.policy.escalate_on) == ["timeout"]
        again = await caller.ask("UpsertPolicy", asked, KEY)
        assert (again.ok, again.created) == (True, False)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (NOT_BYTES_OF_A_MESSAGE, "invalid_request"),
        (pb.UpsertPolicyRequest(policy=policy()), "missing_tenant_id"),
        (pb.UpsertPolicyRequest(tenant_id="demo"), "invalid_policy"),
        (pb.UpsertPolicyRequest(tenant_id="demo", policy=policy(weights={"a": -1})), "invalid_policy"),
        (
            pb.UpsertPolicyRequest(tenant_id="demo", policy=policy(providers=[pb.AdminProvider(id="a")] * 2)),
            "invalid_p",
        ),
    ],
)
async def test_upsert_refuses(asked: Message | bytes, word: str) -> None:
    async with calling(StandIn()) as caller:
        error = await caller.refused("UpsertPolicy", asked, KEY)
    assert (error.code(), (error.details() or "").startswith(word)) == (StatusCode.INVALID_ARGUMENT, True)


async def test_the_tenant_may_come_in_metadata_or_with_the_policy() -> None:
    async with calling(StandIn()) as caller:
        with_policy = pb.UpsertPolicyRequest(policy=policy(tenant_id="one"))
        await caller.ask("UpsertPolicy", with_policy, KEY)
        await caller.ask("UpsertPolicy", with_policy, KEY, ("x-tenant-id", "two"))
        for tenant in ("one", "two"):
            got = await caller.ask("GetPolicy", pb.GetPolicyRequest(tenant_id=tenant, policy_id="p"), KEY)
            assert got.policy.tenant_id == tenant
        asked = pb.GetPolicyRequest(tenant_id="three", policy_id="p")
        assert (await caller.ask("GetPolicy", asked, KEY, ("x-tenant-id", "two"))).policy.tenant_id == "two"


async def test_delete_says_whether_there_was_one() -> None:
    async with calling(StandIn()) as caller:
        asked = pb.DeletePolicyRequest(tenant_id="demo", policy_id="default")
        answers = [await caller.ask("DeletePolicy", asked, KEY) for _ in range(2)]
        assert [(answer.ok, answer.deleted) for answer in answers] == [(True, True), (False, False)]
        assert (await caller.refused("Decide", route())).code() is StatusCode.NOT_FOUND


async def test_list_in_pages() -> None:
    async with calling(StandIn()) as caller:
        answer = await caller.ask("ListPolicies", pb.ListPoliciesRequest(tenant_id="demo", limit=1, offset=1), KEY)
        assert ([kept.policy_id for kept in answer.policies], answer.total) == (["demo-policy"], 2)
        error = await caller.refused("ListPolicies", pb.ListPoliciesRequest(tenant_id="demo", limit=-1), KEY)
        assert error.code() is StatusCode.INVALID_ARGUMENT
        error = await caller.refused("ListPolicies", pb.ListPoliciesRequest(), KEY, ("x-tenant-id", "demo"))
        assert error.code() is StatusCode.INVALID_ARGUMENT


async def test_how_the_router_is() -> None:
    router = StandIn(service=RouterService(clock=lambda: 1700000000.0))
    async with calling(router) as caller:
        status = (await caller.ask("GetCheckpointStatus", pb.GetCheckpointStatusRequest(), KEY)).status
        assert (status.current_cp, status.cp2_plus_allowed, status.updated_at_ms) == ("CP1", False, 1700000000000)
        validators = (await caller.ask("GetValidatorsHealth", pb.GetValidatorsHealthRequest(), KEY)).validators
        assert {validator.status for validator in validators} == {"ok"}
        extensions = (await caller.ask("GetExtensionHealth", pb.GetExtensionHealthRequest(), KEY)).extensions
        assert {extension.status for extension in extensions} == {"healthy"}


async def test_breakers_are_open_for_who_is_down() -> None:
    router = StandIn(service=RouterService(clock=lambda: 1700000000.0))
    async with calling(router) as caller:
        router.service.set_down(["openai"])
        await caller.ask("Decide", route())
        states = (await caller.ask("GetCircuitBreakerStates", pb.GetCircuitBreakerStatesRequest(), KEY)).states
    assert [(s.tenant_id, s.provider_id, s.state, s.failure_count, s.opened_at_ms) for s in states] == [
        ("demo", "anthropic", "closed", 0, 0),
        ("demo", "openai", "open", 1, 1700000000000),
    ]


async def test_a_dry_run_tells_its_steps() -> None:
    router = StandIn()
    async with calling(router) as caller:
        asked = pb.DryRunPipelineRequest(tenant_id="demo", policy_id="default", payload=b"{}")
        answer = await caller.ask("DryRunPipeline", asked, KEY)
        assert (answer.ok, [step.name for step in answer.steps]) == (True, ["policy", "rules", "choice"])
        assert answer.decision.reason == "weighted"
        router.service.set_down(["openai", "anthropic", "local"])
        answer = await caller.ask("DryRunPipeline", asked, KEY)
        assert (answer.ok, answer.steps[2].outcome) == (False, "no_provider_available")
        assert not answer.HasField("decision")


async def test_complexity_grows_with_rules() -> None:
    async with calling(StandIn()) as caller:
        scores = {}
        for name in ("default", "demo-policy"):
            asked = pb.GetPipelineComplexityRequest(tenant_id="demo", policy_id=name)
            scores[name] = await caller.ask("GetPipelineComplexity", asked, KEY)
    assert scores["default"].score < scores["demo-policy"].score
    assert (scores["default"].level, scores["demo-policy"].level) == ("low", "medium")
    assert scores["demo-policy"].steps == 3


@pytest.mark.parametrize("method", ["GetPolicy", "DryRunPipeline", "GetPipelineComplexity"])
async def test_a_policy_that_is_not_there_is_not_found(method: str) -> None:
    request = getattr(pb, f"{method}Request")(tenant_id="demo", policy_id="nobody's")
    async with calling(StandIn()) as caller:
        error = await caller.refused(method, request, KEY)
    assert (error.code(), error.details()) == (
        StatusCode.NOT_FOUND,
        'policy_not_found: demo has no policy "nobody\'s"',
    )


@pytest.mark.parametrize("method", ADMIN)
async def test_admin_asks_for_a_key_before_it_reads(method: str) -> None:
    async with calling(StandIn()) as caller:
        for wrong in ((), (("x-api-key", "short"),), (("api-key", KEY[1]),)):
            error = await caller.refused(method, NOT_BYTES_OF_A_MESSAGE, *wrong)
            assert error.code() is StatusCode.UNAUTHENTICATED
        error = await caller.refused(method, b"", KEY, ("x-user-id", "mallory"))
        assert error.code() is StatusCode.PERMISSION_DENIED
        error = await caller.refused(method, NOT_BYTES_OF_A_MESSAGE, KEY)
        assert error.code() is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["UpsertPolicy", "DeletePolicy"])
async def test_a_reader_may_not_write(method: str) -> None:
    async with calling(StandIn()) as caller:
        error = await caller.refused(method, b"", ("authorization", "Bearer beamline-read-key"))
    assert error.code() is StatusCode.PERMISSION_DENIED


async def test_a_router_without_a_key_of_its_own_says_internal() -> None:
    async with calling(StandIn(service=RouterService(access=Access(key="")))) as caller:
        error = await caller.refused("ListPolicies", b"", KEY)
    assert error.code() is StatusCode.INTERNAL
