"""Every value as it counts in the end, and where it was written."""

from __future__ import annotations

from typing import Any

from sidecar.config.effective import Held, effective
from tests.kit.policy_file import ROUTED, load


def tree(text: str) -> dict[str, Any]:
    return effective(load(ROUTED + text).settings)


def test_a_value_names_the_layer_that_gave_it() -> None:
    found = tree(
        '[policies.slow.timeout]\nconnect = "9s"\n[policies.default.timeout]\nconnect = "8s"\nattempt = "7s"\n'
        '[upstreams.b]\nurl = "http://b"\npolicy = "slow"\ntimeout = { idle = "6s" }'
    )
    assert found["upstreams"]["b"]["timeout"] == {
        "connect": Held(9, ("policies", "slow", "timeout", "connect")),
        "attempt": Held(7, ("policies", "default", "timeout", "attempt")),
        "idle": Held(6, ("upstreams", "b", "timeout", "idle")),
        "first_token": Held(0, ()),
    }


def test_a_policy_starts_from_the_default_one() -> None:
    found = tree(
        '[policies.default]\ndeadline = "9s"\nrate_limit = { per_second = 1 }\n[policies.default.retry]\ntries = 5\n'
        "[policies.slow.retry]\nmax_attempts = 8\n[policies.free]\nrate_limit = false\ncircuit_breaker = false"
    )
    slow, free = found["policies"]["slow"], found["policies"]["free"]
    assert slow["deadline"] == Held(9, ("policies", "default", "deadline"))
    assert slow["retry"]["tries"] == Held(5, ("policies", "default", "retry", "tries"))
    assert slow["retry"]["max_attempts"] == Held(8, ("policies", "slow", "retry", "max_attempts"))
    assert slow["rate_limit"]["per_second"] == Held(1, ("policies", "default", "rate_limit", "per_second"))
    assert free["rate_limit"] == Held(False, ("policies", "free", "rate_limit"))
    assert free["circuit_breaker"] == Held(False, ("policies", "free", "circuit_breaker"))
    assert tree("[policies.p]")["policies"]["p"]["deadline"] == Held(300, ())
    assert tree("[policies.p]")["policies"]["p"]["concurrency"] == Held(False, ())


def test_what_the_protocol_says_stands_nowhere() -> None:
    found = tree(
        '[upstreams.b]\nurl = "http://b"\nprotocol = "openai"\n[routes.s]\nmatch = { path = "/s" }\nchain = ["b"]'
    )
    assert found["upstreams"]["b"]["timeout"]["connect"] == Held(5, ())
    assert found["upstreams"]["b"]["via"] == Held(False, ("upstreams", "b", "via"))
    (target,) = found["routes"]["s"]["targets"]
    assert (target["upstream"].value, target["static"].value) == ("b", False)
    assert target["retry"]["backoff"] == Held(0.5, ())
    assert found["routes"]["s"]["deadline"] == Held(600, ())
    assert found["limits"]["drain"] == Held(25, ("limits", "drain"))
