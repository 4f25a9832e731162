"""What the stand-in Router answers to each of its eleven methods: bytes in, bytes out.

The methods take and give messages; `answer` is around them all. Where the Router's code
and its documentation promise different fields, both are filled.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from sidecar.pb.beamline.flow.v1 import flow_pb2 as pb
from sidecar.standins.router_access import Access
from sidecar.standins.router_choice import choose, matching
from sidecar.standins.router_error import RouterError
from sidecar.standins.router_policies import RATE_LIMIT, Policies, weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf.message import Message

REQUESTS: dict[str, type[Message]] = {
    f"/{service.full_name}/{method.name}": getattr(pb, method.input_type.name)
    for service in pb.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""The paths of all methods, each with the message that it takes."""

WRITES = frozenset({"UpsertPolicy", "DeletePolicy"})
"""What needs more than a reader's role."""

CRASH = """{badarg,[{flow_pb,encode_msg,[{metadata,#{correlation_id => <<"...">>}}]},
 {router_grpc,encode_decision,1,[{file,"router_grpc.erl"}]},
 {grpcbox_stream,handle_unary,3,[{file,"grpcbox_stream.erl"}]}]}"""
"""The kind of text that a crash of the Router has for a status message: of several lines."""


@dataclass(slots=True)
class RouterService:
    """The Router's mind, without a wire. Names are the methods' own, without package and service.

    `breaks_on_correlation_id`: a Decide whose metadata has a correlation id crashes, as the
    Router's does. `down` are the providers that cannot be had, since when (ms).
    """

    policies: Policies = field(default_factory=Policies)
    access: Access = field(default_factory=Access)
    chance: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.time
    breaks_on_correlation_id: bool = True
    down: dict[str, int] = field(default_factory=dict)
    _missed: Counter[str] = field(default_factory=Counter)
    _windows: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def answer(self, path: str, data: bytes, metadata: Mapping[str, str]) -> bytes:
        """One call to a path of `REQUESTS`. Raises `RouterError`."""
        name = path.rpartition("/")[2]
        if name != "Decide":
            self.access.check(metadata, writes=name in WRITES)
        request = REQUESTS[path]()
        try:
            request.ParseFromString(data)
        except DecodeError:
            raise RouterError("invalid_request", f"these {len(data)} bytes are no {request.DESCRIPTOR.name}") from None
        methods: dict[str, Callable[..., Message]] = {
            "Decide": self.decide,
            "UpsertPolicy": self.upsert_policy,
            "DeletePolicy": self.delete_policy,
            "GetPolicy": self.get_policy,
            "ListPolicies": self.list_policies,
            "GetCheckpointStatus": self.get_checkpoint_status,
            "GetValidatorsHealth": self.get_validators_health,
            "GetExtensionHealth": self.get_extension_health,
            "GetCircuitBreakerStates": self.get_circuit_breaker_states,
            "DryRunPipeline": self.dry_run_pipeline,
            "GetPipelineComplexity": self.get_pipeline_complexity,
        }
        return methods[name](request, metadata).SerializeToString()

    def decide(self, asked: pb.RouteRequest, metadata: Mapping[str, str]) -> pb.RouteDecision:
        """A provider for the message, by the policy that is named: an empty name is no policy's."""
        if not asked.HasField("message"):
            raise RouterError("missing_message", "message is missing")
        tenant = tenant_of(asked.message.tenant_id)
        for name in ("message_type", "payload"):
            if not getattr(asked.message, name):
                raise RouterError("invalid_request", f"message.{name} is missing")
        policy = self.policies.get(tenant, asked.policy_id)
        self._count(tenant, policy)
        decision = self._decision(policy, asked)
        if self.breaks_on_correlation_id and ("x-correlation-id" in metadata or "correlation-id" in metadata):
            raise RouterError("internal", CRASH)
        return decision

    def upsert_policy(self, asked: pb.UpsertPolicyRequest, metadata: Mapping[str, str]) -> pb.UpsertPolicyResponse:
        tenant = tenant_of(metadata.get("x-tenant-id"), asked.tenant_id, asked.policy.tenant_id)
        if not asked.HasField("policy"):
            raise RouterError("invalid_policy", "policy is missing")
        created = self.policies.put(tenant, asked.policy)
        kept = self.policies.get(tenant, asked.policy.policy_id)
        return pb.UpsertPolicyResponse(ok=True, policy=kept, created=created)

    def delete_policy(self, asked: pb.DeletePolicyRequest, metadata: Mapping[str, str]) -> pb.DeletePolicyResponse:
        """The Router's code refuses to delete what is not there; the documented answer says so instead."""
        tenant = tenant_of(metadata.get("x-tenant-id"), asked.tenant_id)
        deleted = self.policies.delete(tenant, asked.policy_id)
        return pb.DeletePolicyResponse(ok=deleted, deleted=deleted)

    def get_policy(self, asked: pb.GetPolicyRequest, metadata: Mapping[str, str]) -> pb.GetPolicyResponse:
        tenant = tenant_of(metadata.get("x-tenant-id"), asked.tenant_id)
        return pb.GetPolicyResponse(policy=self.policies.get(tenant, asked.policy_id))

    def list_policies(self, asked: pb.ListPoliciesRequest, _: Mapping[str, str]) -> pb.ListPoliciesResponse:
        page, total = self.policies.page(tenant_of(asked.tenant_id), asked.limit, asked.offset)
        return pb.ListPoliciesResponse(policies=page, total=total)

    def get_checkpoint_status(
        self, _asked: pb.GetCheckpointStatusRequest, _: Mapping[str, str]
    ) -> pb.GetCheckpointStatusResponse:
        status = pb.CheckpointStatus(current_cp="CP1", cp2_plus_allowed=False, updated_at_ms=self._now())
        return pb.GetCheckpointStatusResponse(status=status)

    def get_validators_health(
        self, asked: pb.GetValidatorsHealthRequest, _: Mapping[str, str]
    ) -> pb.GetValidatorsHealthResponse:
        details = f"for {asked.tenant_id or 'all tenants'}"
        return pb.GetValidatorsHealthResponse(
            validators=[
                pb.ValidatorStatus(name=name, status="ok", timestamp_ms=self._now(), details=details)
                for name in ("schema", "pii_guard")
            ]
        )

    def get_extension_health(
        self, _asked: pb.GetExtensionHealthRequest, _: Mapping[str, str]
    ) -> pb.GetExtensionHealthResponse:
        return pb.GetExtensionHealthResponse(
            extensions=[
                pb.ExtensionHealth(name="normalize_text", status="healthy", latency_ms=3, details="pre-processor"),
                pb.ExtensionHealth(name="mask_pii", status="healthy", latency_ms=5, details="post-processor"),
            ]
        )

    def get_circuit_breaker_states(
        self, _asked: pb.GetCircuitBreakerStatesRequest, _: Mapping[str, str]
    ) -> pb.GetCircuitBreakerStatesResponse:
        """Those of every tenant that was seen; open are those of the providers that are down."""
        return pb.GetCircuitBreakerStatesResponse(
            states=[
                pb.CircuitBreakerState(
                    tenant_id=tenant,
                    provider_id=provider,
                    state="open" if provider in self.down else "closed",
                    failure_count=self._missed[provider],
                    opened_at_ms=self.down.get(provider, 0),
                )
                for tenant in self.policies.tenants()
                for provider in sorted({name for kept in self.policies.of(tenant).values() for name in weights(kept)})
            ]
        )

    def dry_run_pipeline(self, asked: pb.DryRunPipelineRequest, _: Mapping[str, str]) -> pb.DryRunPipelineResponse:
        tenant = tenant_of(asked.tenant_id)
        policy = self.policies.get(tenant, asked.policy_id)
        message = pb.Message(tenant_id=tenant, message_type="dry_run", payload=asked.payload)
        route = pb.RouteRequest(message=message, policy_id=asked.policy_id)
        rule = matching(policy, route)
        steps = [
            pb.DryRunStep(name="policy", outcome=f"{policy.policy_id} with {len(weights(policy))} providers"),
            pb.DryRunStep(name="rules", outcome=f"{rule.match} matches" if rule is not None else "none matches"),
        ]
        try:
            decision = self._decision(policy, route)
        except RouterError as error:
            return pb.DryRunPipelineResponse(steps=[*steps, pb.DryRunStep(name="choice", outcome=error.word)])
        steps.append(pb.DryRunStep(name="choice", outcome=f"{decision.provider_id} ({decision.reason})"))
        return pb.DryRunPipelineResponse(ok=True, steps=steps, decision=decision)

    def get_pipeline_complexity(
        self, asked: pb.GetPipelineComplexityRequest, _: Mapping[str, str]
    ) -> pb.GetPipelineComplexityResponse:
        """A point for each provider, two for each rule, one each for stickiness and a fallback."""
        policy = self.policies.get(tenant_of(asked.tenant_id), asked.policy_id)
        score = len(weights(policy)) + 2 * len(policy.rules) + policy.sticky + bool(policy.fallback)
        return pb.GetPipelineComplexityResponse(
            score=score,
            level="low" if score < 5 else "medium" if score < 15 else "high",
            steps=1 + len(policy.rules) + policy.sticky,
            warnings=[] if policy.fallback else ["no fallback: a decide fails when no provider can be had"],
        )

    def set_down(self, providers: list[str]) -> None:
        """From now on these providers cannot be had, and all others can."""
        self.down = {name: self.down.get(name, self._now()) for name in providers}

    def _decision(self, policy: pb.AdminPolicy, asked: pb.RouteRequest) -> pb.RouteDecision:
        self._missed.update(name for name in weights(policy) if name in self.down)
        choice = choose(policy, asked, self.down, self.chance)
        return pb.RouteDecision(
            provider_id=choice.provider,
            reason=choice.reason,
            priority=choice.priority,
            metadata={**asked.context, "tenant_id": asked.message.tenant_id, "executed_extensions": ""},
        )

    def _count(self, tenant: str, policy: pb.AdminPolicy) -> None:
        """One decide more in this minute. Like the Router, no word of when to come back."""
        limit = policy.metadata.get(RATE_LIMIT)
        if limit is None:
            return
        minute = int(self.clock() // 60)
        began, count = self._windows.get((tenant, policy.policy_id), (minute, 0))
        count = count + 1 if began == minute else 1
        self._windows[tenant, policy.policy_id] = (minute, count)
        if count > int(limit):
            raise RouterError("rate_limit_exceeded", f"{policy.policy_id} takes {limit} decides a minute")

    def _now(self) -> int:
        return int(self.clock() * 1000)


def tenant_of(*said: str | None) -> str:
    """The first that names one. Raises `RouterError`: missing_tenant_id."""
    for tenant in said:
        if tenant:
            return tenant
    raise RouterError("missing_tenant_id", "tenant_id is missing")
