"""The policies that the stand-in Router keeps, by tenant.

Every tenant begins with `default` and `demo-policy`, so that a first decide has
something to follow; both may be overwritten and deleted like any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sidecar.pb.beamline.flow.v1.flow_pb2 import AdminPolicy, AdminProvider, AdminRule
from sidecar.standins.router_error import RouterError

RATE_LIMIT = "rate_limit"
"""The key in a policy's metadata that limits it: decides a minute, a whole number."""


def newcomers() -> dict[str, AdminPolicy]:
    """What a tenant has before anything was written."""
    providers = [AdminProvider(id="openai", weight=0.7), AdminProvider(id="anthropic", weight=0.3)]
    demo = AdminPolicy(
        policy_id="demo-policy",
        providers=providers,
        sticky=True,
        rules=[AdminRule(match="message_type=code.*", prefer=["anthropic"], fallback="local")],
        fallback="local",
    )
    return {"default": AdminPolicy(policy_id="default", providers=providers, fallback="local"), "demo-policy": demo}


@dataclass(slots=True)
class Policies:
    """Written whole, read as copies: what a caller does to an answer changes nothing here."""

    _kept: dict[str, dict[str, AdminPolicy]] = field(default_factory=dict)

    def of(self, tenant: str) -> dict[str, AdminPolicy]:
        """All policies of a tenant by their ids."""
        if tenant not in self._kept:
            self._kept[tenant] = newcomers()
            for policy in self._kept[tenant].values():
                policy.tenant_id = tenant
        return self._kept[tenant]

    def tenants(self) -> list[str]:
        """Those that were asked for or written to."""
        return sorted(self._kept)

    def get(self, tenant: str, policy_id: str) -> AdminPolicy:
        """One policy. Raises `RouterError`: policy_not_found, also for an empty id."""
        try:
            return self.of(tenant)[policy_id]
        except KeyError:
            raise RouterError("policy_not_found", f"{tenant} has no policy {policy_id!r}") from None

    def put(self, tenant: str, policy: AdminPolicy) -> bool:
        """Keep a policy; whether it is new. Raises `RouterError`: invalid_policy."""
        check(policy)
        kept = AdminPolicy()
        kept.CopyFrom(policy)
        kept.tenant_id = tenant
        created = policy.policy_id not in self.of(tenant)
        self.of(tenant)[policy.policy_id] = kept
        return created

    def delete(self, tenant: str, policy_id: str) -> bool:
        """Forget a policy; whether there was one."""
        return self.of(tenant).pop(policy_id, None) is not None

    def page(self, tenant: str, limit: int, offset: int) -> tuple[list[AdminPolicy], int]:
        """At most `limit` policies (0: all) from number `offset` on, by their ids; and how many there are.

        Raises `RouterError`: invalid_request.
        """
        if limit < 0 or offset < 0:
            raise RouterError("invalid_request", "limit and offset are not below 0")
        kept = [policy for _, policy in sorted(self.of(tenant).items())]
        return kept[offset : offset + limit if limit else None], len(kept)


def check(policy: AdminPolicy) -> None:
    """Raise `RouterError` (invalid_policy) for what no decide could follow."""
    if not policy.policy_id:
        raise RouterError("invalid_policy", "policy_id is missing")
    names = [provider.id for provider in policy.providers]
    if "" in names:
        raise RouterError("invalid_policy", "a provider has no id")
    if len(set(names)) < len(names):
        raise RouterError("invalid_policy", "two providers have the same id")
    for name, weight in weights(policy).items():
        if not 0 <= weight < math.inf:
            raise RouterError("invalid_policy", f"the weight of {name} is {weight}")
    if any(not rule.match for rule in policy.rules):
        raise RouterError("invalid_policy", "a rule matches nothing")
    limit = policy.metadata.get(RATE_LIMIT, "1")
    if not (limit.isascii() and limit.isdigit()):
        raise RouterError("invalid_policy", f"{RATE_LIMIT} is {limit!r}, not a whole number")


def weights(policy: AdminPolicy) -> dict[str, float]:
    """Each provider's weight; what `weights` says of one goes before what stands at it."""
    return {provider.id: provider.weight for provider in policy.providers} | dict(policy.weights)
