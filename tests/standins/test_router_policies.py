"""Policies: what may be kept, and that what is kept is nobody's but the Router's."""

from __future__ import annotations

import pytest

from sidecar.pb.beamline.flow.v1.flow_pb2 import AdminPolicy, AdminProvider, AdminRule
from sidecar.standins.router_error import RouterError
from sidecar.standins.router_policies import Policies, weights


def test_a_tenant_begins_with_two() -> None:
    page, total = Policies().page("new", 0, 0)
    assert ([policy.policy_id for policy in page], total) == (["default", "demo-policy"], 2)
    assert {policy.tenant_id for policy in page} == {"new"}


def test_what_one_tenant_writes_another_does_not_see() -> None:
    policies = Policies()
    policies.put("one", AdminPolicy(policy_id="default", fallback="mine"))
    assert policies.get("one", "default").fallback == "mine"
    assert policies.get("two", "default").fallback == "local"


def test_an_upsert_says_whether_it_is_new() -> None:
    policies = Policies()
    assert [policies.put("demo", AdminPolicy(policy_id="p", version=version)) for version in "12"] == [True, False]
    assert policies.get("demo", "p").version == "2"


def test_what_was_handed_over_may_change_without_harm() -> None:
    policies = Policies()
    mine = AdminPolicy(policy_id="p", version="1", tenant_id="somebody-else")
    policies.put("demo", mine)
    mine.version = "2"
    assert (policies.get("demo", "p").version, policies.get("demo", "p").tenant_id) == ("1", "demo")


def test_a_deleted_one_stays_deleted() -> None:
    policies = Policies()
    assert [policies.delete("demo", "default") for _ in range(2)] == [True, False]
    with pytest.raises(RouterError, match=r"^policy_not_found: demo has no policy 'default'"):
        policies.get("demo", "default")


@pytest.mark.parametrize(
    ("limit", "offset", "names"),
    [(0, 0, "abcd"), (2, 0, "ab"), (2, 2, "cd"), (2, 3, "d"), (0, 3, "d"), (2, 4, ""), (9, 9, "")],
)
def test_a_page(limit: int, offset: int, names: str) -> None:
    policies = Policies()
    for name in ("default", "demo-policy"):
        policies.delete("demo", name)
    for name in "dbca":
        policies.put("demo", AdminPolicy(policy_id=name))
    page, total = policies.page("demo", limit, offset)
    assert ("".join(policy.policy_id for policy in page), total) == (names, 4)


@pytest.mark.parametrize(("limit", "offset"), [(-1, 0), (0, -1)])
def test_no_page_below_zero(limit: int, offset: int) -> None:
    with pytest.raises(RouterError, match=r"^invalid_request: limit and offset are not below 0"):
        Policies().page("demo", limit, offset)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (AdminPolicy(), "policy_id is missing"),
        (AdminPolicy(policy_id="p", providers=[AdminProvider(weight=1)]), "a provider has no id"),
        (AdminPolicy(policy_id="p", providers=[AdminProvider(id="a")] * 2), "two providers have the same id"),
        (AdminPolicy(policy_id="p", providers=[AdminProvider(id="a", weight=-1)]), "the weight of a is -1"),
        (AdminPolicy(policy_id="p", providers=[AdminProvider(id="a", weight=float("nan"))]), "the weight of a is nan"),
        (AdminPolicy(policy_id="p", weights={"a": float("inf")}), "the weight of a is inf"),
        (AdminPolicy(policy_id="p", rules=[AdminRule(prefer=["a"])]), "a rule matches nothing"),
        (AdminPolicy(policy_id="p", metadata={"rate_limit": "ten"}), "rate_limit is 'ten', not a whole number"),
        (AdminPolicy(policy_id="p", metadata={"rate_limit": "-1"}), "rate_limit is '-1', not a whole number"),
    ],
)
def test_what_no_decide_could_follow_is_refused(policy: AdminPolicy, told: str) -> None:
    with pytest.raises(RouterError) as error:
        Policies().put("demo", policy)
    assert str(error.value).startswith(f"invalid_policy: {told}")


def test_weights_by_name_go_before_those_at_the_providers() -> None:
    providers = [AdminProvider(id="a", weight=1), AdminProvider(id="b", weight=1)]
    assert weights(AdminPolicy(providers=providers, weights={"b": 3, "c": 2})) == {"a": 1, "b": 3, "c": 2}
