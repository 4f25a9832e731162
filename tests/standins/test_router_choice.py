"""Whom the Router chooses, and the word it gives for it."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from sidecar.pb.beamline.flow.v1.flow_pb2 import AdminPolicy, AdminProvider, AdminRule
from sidecar.standins.router_choice import Choice, choose, fits
from sidecar.standins.router_error import RouterError
from tests.kit.router_caller import route

THREE = [AdminProvider(id="a", weight=6), AdminProvider(id="b", weight=3), AdminProvider(id="c", weight=1)]


def drawn(policy: AdminPolicy, down: frozenset[str] = frozenset(), times: int = 2000) -> Counter[str]:
    chance = Random(1)
    return Counter(choose(policy, route(), down, chance).provider for _ in range(times))


def test_by_weight() -> None:
    seen = drawn(AdminPolicy(providers=THREE))
    assert seen["a"] == pytest.approx(1200, rel=0.1)
    assert seen["b"] == pytest.approx(600, rel=0.1)
    assert seen["c"] == pytest.approx(200, rel=0.3)
    assert choose(AdminPolicy(providers=THREE[:1]), route(), (), Random(1)) == Choice("a", "weighted", 50)


def test_who_has_no_weight_or_is_down_is_never_drawn() -> None:
    providers = [*THREE, AdminProvider(id="reserve", weight=0)]
    assert set(drawn(AdminPolicy(providers=providers), frozenset({"a"}))) == {"b", "c"}


def test_with_nobody_left_the_fallback() -> None:
    policy = AdminPolicy(providers=THREE, fallback="local")
    assert choose(policy, route(), ("a", "b", "c"), Random(1)) == Choice("local", "fallback", 25)
    assert choose(AdminPolicy(fallback="local"), route(), (), Random(1)) == Choice("local", "fallback", 25)


@pytest.mark.parametrize(
    ("policy", "down"),
    [
        (AdminPolicy(policy_id="p"), ()),
        (AdminPolicy(policy_id="p", providers=THREE), ("a", "b", "c")),
        (AdminPolicy(policy_id="p", providers=THREE, fallback="local"), ("a", "b", "c", "local")),
        (AdminPolicy(policy_id="p", providers=[AdminProvider(id="a", weight=0)]), ()),
    ],
)
def test_with_nobody_at_all_no_provider(policy: AdminPolicy, down: tuple[str, ...]) -> None:
    with pytest.raises(RouterError, match=r"^no_provider_available: p has nobody left to ask"):
        choose(policy, route(), down, Random(1))


def test_sticky_the_same_key_gets_the_same() -> None:
    policy = AdminPolicy(policy_id="p", sticky=True, providers=THREE)
    chance = Random(1)
    first = choose(policy, route(session_id="s1"), (), chance)
    assert first.reason == "sticky"
    assert {choose(policy, route(session_id="s1"), (), chance) for _ in range(50)} == {first}


def test_sticky_keys_spread_by_the_weights() -> None:
    policy = AdminPolicy(policy_id="p", sticky=True, providers=THREE)
    seen = Counter(choose(policy, route(session_id=f"s{n}"), (), Random(1)).provider for n in range(2000))
    assert seen["a"] == pytest.approx(1200, rel=0.1)
    assert seen["b"] == pytest.approx(600, rel=0.1)


def test_sticky_when_one_goes_only_its_own_keys_move() -> None:
    policy = AdminPolicy(policy_id="p", sticky=True, providers=THREE)
    for number in range(200):
        asked = route(session_id=f"s{number}")
        before = choose(policy, asked, (), Random(1)).provider
        after = choose(policy, asked, ("c",), Random(1)).provider
        assert before in {after, "c"}


def test_sticky_without_a_key_it_is_drawn() -> None:
    policy = AdminPolicy(policy_id="p", sticky=True, providers=THREE)
    assert choose(policy, route(colour="red"), (), Random(1)).reason == "weighted"


def test_a_rule_narrows_the_choice() -> None:
    rules = [AdminRule(match="message_type=chat", prefer=["c", "nobody"]), AdminRule(match="*", prefer=["a"])]
    policy = AdminPolicy(providers=THREE, rules=rules)
    assert choose(policy, route(), (), Random(1)) == Choice("c", "weighted", 50)
    assert choose(policy, route(kind="code"), (), Random(1)).provider == "a"


def test_a_rule_has_a_fallback_of_its_own() -> None:
    policy = AdminPolicy(
        providers=THREE, fallback="local", rules=[AdminRule(match="chat", prefer=["c"], fallback="spare")]
    )
    assert choose(policy, route(), ("c",), Random(1)) == Choice("spare", "fallback", 25)
    assert choose(policy, route(), ("c", "spare"), Random(1)).provider in {"a", "b"}


@pytest.mark.parametrize(
    ("match", "known", "yes"),
    [
        ("*", {}, True),
        ("chat", {"message_type": "chat"}, True),
        ("code.*", {"message_type": "code.review"}, True),
        ("code.*", {"message_type": "chat"}, False),
        ("tier=gold", {"tier": "gold"}, True),
        ("tier=gold", {"tier": "GOLD"}, False),
        ("tier=*", {"tier": "any"}, True),
        ("tier=*", {}, False),
    ],
)
def test_what_a_match_may_say(match: str, known: dict[str, str], yes: bool) -> None:
    assert fits(match, known) is yes
